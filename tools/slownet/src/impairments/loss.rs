//! Packets are lost: each by itself, in bursts, or by a Markov chain.

use breakit::exit::{Error, Result};
use breakit::rng::{Pcg64, RngExt};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Parts;
use super::correlated::Correlated;
use super::entry::{Impairment, Shown, shown};
use super::strike::{Passing, Stage, Strike};
use super::tc::{Netem, Unable};
use crate::quantity::{Chance, Percent};

/// Which packets are lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Loss {
    /// Each with a probability.
    Random(Chance),
    /// The four-state Markov chain of netem: p13, and if given p31, p32, p23, p14.
    State(Vec<Percent>),
    /// Gilbert-Elliott: p, and if given r, 1-h, 1-k.
    Gemodel(Vec<Percent>),
}

/// The flags.
#[derive(Args, Debug)]
#[group(skip)]
pub struct LossArgs {
    /// Lose packets at random: 20%, or 20%,75% with correlation
    #[arg(long, value_name = "PERCENT", value_parser = Chance::parse, allow_hyphen_values = true,
          conflicts_with_all = ["loss_state", "loss_gemodel"])]
    loss: Option<Chance>,
    /// Lose packets by a Markov chain of four states: P13[,P31[,P32[,P23[,P14]]]]
    #[arg(long, value_name = "PERCENTS", value_parser = Percent::parse, value_delimiter = ',',
          num_args = 1, action = clap::ArgAction::Append, allow_hyphen_values = true, conflicts_with = "loss_gemodel")]
    loss_state: Vec<Percent>,
    /// Lose packets by the Gilbert-Elliott model: P[,R[,1-H[,1-K]]]
    #[arg(long, value_name = "PERCENTS", value_parser = Percent::parse, value_delimiter = ',',
          num_args = 1, action = clap::ArgAction::Append, allow_hyphen_values = true)]
    loss_gemodel: Vec<Percent>,
}

impl Impairment for Loss {
    type Flags = LossArgs;

    fn read(flags: &LossArgs, preset: Option<Loss>) -> Result<Option<Loss>> {
        if flags.loss_state.len() > 5 {
            return Err(Error::usage("--loss-state takes five percentages at the most"));
        }
        if flags.loss_gemodel.len() > 4 {
            return Err(Error::usage("--loss-gemodel takes four percentages at the most"));
        }
        Ok(match (flags.loss, &flags.loss_state[..], &flags.loss_gemodel[..]) {
            (Some(chance), _, _) => Some(Loss::Random(chance)),
            (None, [_, ..], _) => Some(Loss::State(flags.loss_state.clone())),
            (None, _, [_, ..]) => Some(Loss::Gemodel(flags.loss_gemodel.clone())),
            _ => preset,
        })
    }

    fn shown(&self) -> Vec<Shown> {
        let join = |percents: &[Percent]| {
            percents.iter().map(Percent::to_string).collect::<Vec<_>>().join(",")
        };
        vec![match self {
            Loss::Random(chance) => shown("loss", chance),
            Loss::State(percents) => shown("loss-state", join(percents)),
            Loss::Gemodel(percents) => shown("loss-gemodel", join(percents)),
        }]
    }

    fn netem(&self, _: &Parts) -> std::result::Result<Netem, Unable> {
        let model = |name: &str, percents: &[Percent]| {
            let percents = percents.iter().map(Percent::to_string);
            Netem::words(["loss".to_string(), name.to_string()].into_iter().chain(percents))
        };
        Ok(match self {
            Loss::Random(Chance { percent, correlation: None }) => model("random", &[*percent]),
            Loss::Random(Chance { percent, correlation: Some(correlation) }) => {
                let [p, r] = correlated(percent.fraction(), correlation.fraction());
                Netem::words(["loss".into(), "gemodel".into(), p, r])
            }
            Loss::State(percents) => model("state", percents),
            Loss::Gemodel(percents) => model("gemodel", percents),
        })
    }

    fn strikes(&self) -> Vec<(Stage, Box<dyn Strike>)> {
        let strike: Box<dyn Strike> = match self {
            Loss::Random(chance) => Box::new(Random(*chance, Correlated::default())),
            Loss::State(percents) => Box::new(FourStates::new(percents)),
            Loss::Gemodel(percents) => Box::new(Gilbert::new(percents)),
        };
        vec![(Stage::Lose, strike)]
    }
}

impl Parts {
    /// Whether plain random loss is all there is.
    pub fn only_loss(&self) -> Option<Percent> {
        let Some(Loss::Random(Chance { percent, correlation: None })) = self.loss else {
            return None;
        };
        let alone = Parts { loss: self.loss.clone(), ..Parts::default() };
        (*self == alone).then_some(percent)
    }
}

/// The Gilbert model that loses the share `lost`, each packet's fate resembling the last one's by `alike`: from
/// good to bad by lost (1 - alike), back by (1 - lost)(1 - alike), which leaves the share and correlates so.
///
/// netem's own `loss random` with a correlation mixes uniform numbers, which crowd around a half then: of 20 %
/// with 75 % next to nothing is lost.
fn correlated(lost: f64, alike: f64) -> [String; 2] {
    [lost, 1.0 - lost].map(|share| format!("{:.6}%", 100.0 * share * (1.0 - alike)))
}

#[derive(Debug)]
struct Random(Chance, Correlated);

impl Strike for Random {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        if self.1.happens(rng, self.0) {
            packet.lose();
        }
    }
}

/// Where the four-state Markov chain is, by netem's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Chain {
    #[default]
    TransmitInGap,
    LostInBurst,
    TransmitInBurst,
    LostInGap,
}

/// netem's `loss_4state`: p13 p31 p32 p23 p14, with tc's defaults for those that are not given.
#[derive(Debug)]
struct FourStates {
    p13: f64,
    p31: f64,
    p32: f64,
    p23: f64,
    p14: f64,
    at: Chain,
}

impl FourStates {
    fn new(percents: &[Percent]) -> FourStates {
        let given = |i: usize| percents.get(i).copied().map(Percent::fraction);
        let p13 = given(0).unwrap_or(0.0);
        FourStates {
            p13,
            p31: given(1).unwrap_or(1.0 - p13),
            p32: given(2).unwrap_or(0.0),
            p23: given(3).unwrap_or(1.0),
            p14: given(4).unwrap_or(0.0),
            at: Chain::default(),
        }
    }
}

impl Strike for FourStates {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        let FourStates { p13, p31, p32, p23, p14, at } = *self;
        let drawn: f64 = rng.random();
        let (next, lost) = match at {
            Chain::TransmitInGap if drawn < p14 => (Chain::LostInGap, true),
            Chain::TransmitInGap if drawn < p13 + p14 => (Chain::LostInBurst, true),
            Chain::TransmitInGap => (Chain::TransmitInGap, false),
            Chain::TransmitInBurst if drawn < p23 => (Chain::LostInBurst, true),
            Chain::TransmitInBurst => (Chain::TransmitInBurst, false),
            Chain::LostInBurst if drawn < p32 => (Chain::TransmitInBurst, false),
            Chain::LostInBurst if drawn < p31 + p32 => (Chain::TransmitInGap, false),
            Chain::LostInBurst => (Chain::LostInBurst, true),
            Chain::LostInGap => (Chain::TransmitInGap, false),
        };
        self.at = next;
        if lost {
            packet.lose();
        }
    }
}

/// netem's `loss_gilb_ell`: p, r, 1-h, 1-k, with tc's defaults for those that are not given.
#[derive(Debug)]
struct Gilbert {
    p: f64,
    r: f64,
    lost_in_bad: f64,
    lost_in_good: f64,
    bad: bool,
}

impl Gilbert {
    fn new(percents: &[Percent]) -> Gilbert {
        let given = |i: usize| percents.get(i).copied().map(Percent::fraction);
        let p = given(0).unwrap_or(0.0);
        Gilbert {
            p,
            r: given(1).unwrap_or(1.0 - p),
            lost_in_bad: given(2).unwrap_or(1.0),
            lost_in_good: given(3).unwrap_or(0.0),
            bad: false,
        }
    }
}

impl Strike for Gilbert {
    fn strike(&mut self, packet: &mut Passing, rng: &mut Pcg64) {
        let turns: f64 = rng.random();
        let drawn: f64 = rng.random();
        let (turn, lost) =
            if self.bad { (self.r, self.lost_in_bad) } else { (self.p, self.lost_in_good) };
        self.bad ^= turns < turn;
        if drawn < lost {
            packet.lose();
        }
    }
}
