//! From flags to parts: what is asked for, checked against itself.

use breakit::exit::{Error, Result};

use crate::cli::PartsArgs;
use crate::distribution::Distribution;
use crate::parts::{Delay, Jitter, Loss, Parts, Reorder, Slot};

/// The parts that the flags say, on top of the preset's.
///
/// # Errors
/// 64 where there is none, or one needs another.
pub fn parts(args: &PartsArgs) -> Result<Parts> {
    let mut parts = args.preset.map(|preset| preset.parts()).unwrap_or_default();
    parts.delay = delay(args, parts.delay)?;
    parts.keep_order = args.keep_order;
    parts.loss = loss(args)?.or(parts.loss);
    parts.duplicate = args.duplicate.or(parts.duplicate);
    parts.reorder = args.reorder.map(|chance| Reorder { chance, gap: args.gap }).or(parts.reorder);
    parts.corrupt = args.corrupt.or(parts.corrupt);
    parts.rate = args.rate.or(parts.rate);
    parts.burst = args.burst;
    parts.slot = args.slot.map(|(least, most)| Slot {
        least,
        most,
        packets: args.slot_packets,
        bytes: args.slot_bytes,
    });
    parts.limit = args.limit;
    parts.checked()
}

fn delay(args: &PartsArgs, preset: Option<Delay>) -> Result<Option<Delay>> {
    let before = preset.and_then(|delay| delay.jitter);
    let Some(time) = args.delay.or(preset.map(|delay| delay.time)) else {
        return match args.jitter {
            Some(_) => Err(Error::usage("--jitter needs --delay: it is how the delay strays")),
            None => no_spread(args, "--delay and --jitter").map(|()| None),
        };
    };
    let Some(stray) = args.jitter.or(before.map(|jitter| jitter.time)).filter(|t| !t.is_zero())
    else {
        return no_spread(args, "--jitter").map(|()| Some(Delay { time, jitter: None }));
    };
    let distribution = args.distribution.or(before.map(|jitter| jitter.distribution));
    let correlation = args.correlation.or(before.and_then(|jitter| jitter.correlation));
    let distribution = distribution.unwrap_or(Distribution::Uniform);
    Ok(Some(Delay { time, jitter: Some(Jitter { time: stray, distribution, correlation }) }))
}

fn no_spread(args: &PartsArgs, needed: &str) -> Result<()> {
    if args.distribution.is_none() && args.correlation.is_none() {
        return Ok(());
    }
    Err(Error::usage(format!("--distribution and --correlation need {needed}")))
}

fn loss(args: &PartsArgs) -> Result<Option<Loss>> {
    if args.loss_state.len() > 5 {
        return Err(Error::usage("--loss-state takes five percentages at the most"));
    }
    if args.loss_gemodel.len() > 4 {
        return Err(Error::usage("--loss-gemodel takes four percentages at the most"));
    }
    Ok(match (args.loss, &args.loss_state[..], &args.loss_gemodel[..]) {
        (Some(chance), _, _) => Some(Loss::Random(chance)),
        (None, [_, ..], _) => Some(Loss::State(args.loss_state.clone())),
        (None, _, [_, ..]) => Some(Loss::Gemodel(args.loss_gemodel.clone())),
        _ => None,
    })
}
