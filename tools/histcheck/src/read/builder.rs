//! Events to a history: who is a client and who is not, in which order, with which key.

mod order;
mod others;
mod quick;
mod seams;

use breakit::exit::{Error, Result};
use breakit::op::{Type, Wrong};

use super::bare::Bare;
use super::blocks::{self, Piece, RawLine};
use super::clause::Clause;
use super::doubtful::Doubtful;
use super::event::Event;
use super::format::Format;
use super::line::{self, Parsed};
use super::line_template::{self, Layouts};
use super::notation::Json;
use super::one_line::Numbers;
use super::origin::Sought;
use super::pair::{self, Misfit, Pairing};
use super::position::Place;
use super::source_span::Site;
use super::text::Item;
use super::times::Times;
use super::{Options, Tolerance, scan};
use crate::budget::Exhausted;
use crate::clients::Clients;
use crate::history::{History, Outcome};
use order::{Growing, Order};
use seams::Seam;

/// Lines are counted in 31 bits; the places of parts of a history are added.
const MOST_LINES: u32 = (1 << 31) - 1;

/// A history in the making.
#[derive(Debug)]
pub struct Assembly {
    history: History,
    pairing: Pairing,
    options: Options,
    /// In which order events that carry an `index` are taken.
    order: Order,
    layouts: Layouts,
    /// How many bytes there will be, until room is made for their operations.
    expected: Option<u64>,
    /// What is left to whoever puts this part behind the one before it; `None` where there is none before.
    seam: Option<Seam>,
    /// What may be lines of clients that have names.
    doubtful: Doubtful,
    /// Completions, as long as there is no invocation.
    bare: Bare,
    /// The times of client lines in the order of these.
    times: Times,
    /// By which numbers events are named, where an event is no line.
    numbers: Numbers,
    /// Whether this is a part of a file.
    is_part: bool,
    /// The first client line, and whether it has an `index`: all others must do as it does.
    first: Option<(u32, bool)>,
    /// The last `index`, where lines are taken as they come.
    last_index: Option<u64>,
}

impl Assembly {
    /// Nothing yet.
    pub fn new(name: &str, format: Format, options: Options) -> Assembly {
        // Where an event is no line, the line of each place in the order is kept.
        let reordered = (!format.is_lines()).then(Vec::new);
        let clients = Clients::except(options.not_clients);
        let history =
            History { name: name.into(), format, clients, reordered, ..History::default() };
        Assembly {
            doubtful: Doubtful::default(),
            bare: Bare::default(),
            times: Times::default(),
            numbers: Numbers::default(),
            is_part: false,
            history,
            pairing: Pairing::default(),
            options,
            order: Order::OfText(Growing::kept()),
            // Whoever follows a history is not told of its times.
            layouts: Layouts::new(options.skip_times && options.in_order),
            expected: None,
            seam: None,
            first: None,
            last_index: None,
        }
    }

    /// Says how many bytes of lines there will be.
    #[must_use]
    pub fn expecting(self, bytes: Option<u64>) -> Assembly {
        Assembly { expected: bytes, ..self }
    }

    /// How many lines it took.
    pub fn lines(&self) -> u64 {
        self.history.counts.lines
    }

    /// Takes lines of JSON with their endings.
    ///
    /// # Errors
    /// As [`Assembly::line`].
    pub fn piece(&mut self, piece: Piece<'_>) -> Result<()> {
        let text = piece.text;
        let mut at = 0;
        let mut event = line_template::NOTHING;
        while at < text.len() {
            let values = &mut self.history.values;
            if let Some(next) = self.layouts.event::<Json>(text, at, values, &mut event) {
                self.history.counts.lines += 1;
                let number = self.number(self.history.counts.lines)?;
                self.client(number, number, &mut event).map_err(|wrong| {
                    self.misfit(Site::line(number.into(), &text[at..next]), &wrong)
                })?;
                at = next;
                continue;
            }
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
            self.line(&text[at..end], end < text.len() || piece.whole)?;
            at = end;
        }
        if let Some(expected) = self.expected.take() {
            self.make_room(text.len() as u64, expected);
        }
        Ok(())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.history.bytes() + self.order.bytes() + self.bare.bytes()
    }

    /// Says which limit of the reader's budget is reached.
    ///
    /// # Errors
    /// The limit.
    pub fn spend(&self) -> std::result::Result<(), Exhausted> {
        self.options.budget.map_or(Ok(()), |budget| budget.spend(self.bytes()))
    }

    /// Makes room for the operations in `expected` bytes, as many in each as in the first `taken`, and a few more.
    pub fn make_room(&mut self, taken: u64, expected: u64) {
        let so_far = self.history.ops.len() as u64 + 1;
        let rows = u128::from(so_far) * u128::from(expected) / u128::from(taken.max(1));
        let rows = rows + rows / 64;
        // More than lines can be counted is more than will be.
        self.history.ops.reserve(usize::try_from(rows).unwrap_or(0).min(MOST_LINES as usize));
    }

    /// Takes a line of JSON with its ending; `whole`: that is a newline.
    ///
    /// # Errors
    /// 65 with file, line and column for what is none, or does not fit what came before.
    fn line(&mut self, line: &[u8], whole: bool) -> Result<()> {
        self.history.counts.lines += 1;
        let raw = RawLine { number: self.history.counts.lines, text: blocks::bare(line), whole };
        let number = self.number(raw.number)?;
        let site = Site::line(raw.number, raw.text);
        if let Some((mut event, end)) = scan::line(raw.text, &mut self.history) {
            if whole {
                self.layouts.learn::<Json>(&line[..end], &line[end..], &event);
            }
            let taken = self.client(number, number, &mut event);
            return taken.map_err(|wrong| self.misfit(site, &wrong));
        }
        if raw.text.trim_ascii().is_empty() {
            self.history.counts.blank += 1;
            return Ok(());
        }
        match line::parse(raw.text, &mut self.history) {
            Ok(Parsed::Client(mut event)) => {
                self.is_alike(&event, site)?;
                let taken = self.client(number, number, &mut event);
                taken.map_err(|wrong| self.misfit(site, &wrong))
            }
            Ok(Parsed::Other(op)) if self.is_part && self.is_in_doubt(&op) => Err(site
                .place
                .error(&self.history.name, "whether this is a client shows elsewhere")),
            Ok(Parsed::Other(op)) if self.seam.is_some() => {
                self.seam.get_or_insert_default().others.push((number, *op));
                Ok(())
            }
            Ok(Parsed::Other(op)) => {
                let other = self.other(site.of("value"), (number, number), &op);
                other.map_err(|wrong| site.error(&self.history.name, wrong))
            }
            Err(mut clause) => {
                if raw.number == 1 && !matches!(raw.text.trim_ascii_start(), [b'{' | b'[', ..]) {
                    clause.text += "; the text is in none of the formats that are read: JSON lines, a JSON array, \
                                    EDN, CSV, Jepsen's log, Plume's and AWDIT's text";
                }
                cut(&self.history.name, raw, clause, self.options.tolerance)?;
                self.history.counts.dropped += 1;
                Ok(())
            }
        }
    }

    /// Takes what the reader of another format found on `line`.
    ///
    /// # Errors
    /// As [`Assembly::line`].
    pub fn item(&mut self, site: Site<'_>, item: Item) -> Result<()> {
        let number = self.number(site.place.line)?;
        if let Item::Unclosed = item {
            self.history.counts.unclosed += 1;
            return Ok(());
        }
        self.history.counts.lines += site.pieces;
        match item {
            Item::Blank => self.history.counts.blank += 1,
            Item::Remark => self.history.counts.others += 1,
            Item::Rule => self.history.counts.rules += 1,
            Item::Cut => self.history.counts.dropped += 1,
            Item::Unclosed => {}
            item @ (Item::Op(_) | Item::InLane(..)) => {
                let nth = site.nth.unwrap_or(self.history.counts.lines as u32);
                let parsed = self.event(item);
                match parsed.map_err(|wrong| site.error(&self.history.name, wrong))? {
                    Parsed::Client(mut event) => {
                        self.is_alike(&event, site)?;
                        self.taken(number, nth, &mut event, || site)?;
                    }
                    Parsed::Other(op) => {
                        let other = self.other(site.of("value"), (number, nth), &op);
                        other.map_err(|wrong| site.error(&self.history.name, wrong))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What an event is. One in a lane is of a process of its own until its operation is kept.
    fn event(&mut self, item: Item) -> std::result::Result<Parsed, Wrong> {
        let (op, lane) = match item {
            Item::Op(op) => (op, 0),
            Item::InLane(op, lane) => (op, lane),
            _ => return Err(Wrong::whole("it is no event")),
        };
        let process = op.process.clone();
        let parsed = line::of(*op, &mut self.history)?;
        let Parsed::Client(event) = parsed else { return Ok(parsed) };
        if lane == 0 {
            return Ok(parsed);
        }
        let (process, number) = self.history.clients.lane(&process, lane);
        if let Some(number) = number {
            self.history.ops.processes.alias(process, number);
        }
        Ok(Parsed::Client(Event { process, ..event }))
    }

    #[inline]
    fn number(&self, line: u64) -> Result<u32> {
        match u32::try_from(line) {
            Ok(number) if number < MOST_LINES => Ok(number),
            _ => Err(self.error(
                Place::of_line(line),
                "the history has more than 2,147,483,646 lines; split it by key",
            )),
        }
    }

    /// The error of an event that does not fit what came before.
    #[cold]
    fn misfit(&self, site: Site<'_>, wrong: &Misfit) -> Error {
        let name = &self.history.name;
        if site.is_map_without("process") {
            return site.error_at(wrong.field, name, &of_process_0(&wrong.clause));
        }
        site.error_at(wrong.field, name, &wrong.clause)
    }

    /// Takes an event at `pos` in the order of the text, and by that `number` where an index gives the order.
    #[inline]
    fn client(
        &mut self,
        pos: u32,
        number: u32,
        event: &mut Event,
    ) -> std::result::Result<(), Misfit> {
        if let (Some(time), None) = (event.time, event.index) {
            self.times.take(time, pos);
        }
        // One event with its time, from whatever reader, would make a column of them.
        if self.options.skip_times {
            event.time = None;
        }
        if self.options.keyed {
            let unwrapped = event.unwrap_key(&self.history.values);
            unwrapped.map_err(|clause| Misfit::new("value", clause))?;
        }
        let (first, indexed) = *self.first.get_or_insert((number, event.index.is_some()));
        match event.index {
            None if !indexed => self.pair(pos, event),
            Some(index) if indexed && self.options.in_order => {
                self.in_order(index)?;
                self.pair(pos, event)
            }
            Some(index) if indexed => self.indexed(index, pos, number, event),
            _ => Err(order::half_indexed(self.history.line(first), indexed)),
        }
    }

    /// What was taken so far. Its operations must stay where they are.
    pub fn history(&mut self) -> &mut History {
        &mut self.history
    }

    /// Which operations have no completion yet.
    pub fn open(&self) -> Vec<usize> {
        let count = self.history.ops.len();
        (0..count).filter(|&index| self.is_open(index)).collect()
    }

    #[inline]
    fn is_open(&self, index: usize) -> bool {
        let ops = &self.history.ops;
        ops.outcome(index) == Outcome::Info
            && self.pairing.open(ops.process_place(index)) == Some(index)
    }

    /// Forgets all operations but those at `open`, which are all that are open.
    pub fn forget_all_but(&mut self, open: &[usize]) {
        for (index, place) in self.history.ops.keep_open(open).into_iter().enumerate() {
            self.pairing.set(place, Some(index));
        }
    }

    #[inline]
    fn pair(&mut self, pos: u32, event: &Event) -> std::result::Result<(), Misfit> {
        if self.seam.is_some() && event.kind != Type::Invoke && self.is_of_an_earlier_part(event) {
            self.seam.get_or_insert_default().completions.push((pos, *event));
            return Ok(());
        }
        match self.pairing.take(&mut self.history, pos, event) {
            Err(wrong) if self.may_be_bare() => {
                self.bare.push(pos, *event, wrong);
                Ok(())
            }
            taken => taken,
        }
    }

    /// Whether a completion that fits nothing may be one of a history that has only completions.
    #[cold]
    fn may_be_bare(&self) -> bool {
        self.history.counts.invokes == 0 && !self.is_part && !self.options.in_order
    }

    /// Gives operations of which only completions were written the invocations that they lack.
    fn complete_bare(&mut self) -> Result<()> {
        if let Some((pos, event, wrong)) = self.bare.first()
            && self.history.counts.invokes > 0
        {
            return Err(self.misfit_on(self.history.line(pos), event, 0, wrong));
        }
        if self.bare.is_empty() {
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.bare).whole();
        whole.iter_mut().for_each(|(line, _)| *line = self.history.line(*line));
        self.history.reordered = Some(whole.iter().map(|&(line, _)| line).collect());
        self.history.has_completions_alone = true;
        for (pos, (line, event)) in (1..).zip(whole) {
            let taken = self.pairing.take(&mut self.history, pos, &event);
            taken.map_err(|wrong| self.misfit_on(line, &event, 0, &wrong))?;
        }
        Ok(())
    }

    /// The error of an event that was kept, of which `nth` like it stand before it on its line.
    #[cold]
    fn misfit_on(&self, line: u32, event: &Event, nth: usize, wrong: &Misfit) -> Error {
        let process = self.history.clients.process(event.process);
        let line = self.history.only_line.unwrap_or(line);
        let sought = Sought { line: line.into(), process, kind: event.kind, nth };
        let (origin, name) = (&self.history.origin, &self.history.name);
        let find = |field: &str| origin.place(name, sought.clone(), field);
        let is_without = || find("type").is_some() && find("process").is_none();
        let clause = match self.history.format.is_process_optional && is_without() {
            true => of_process_0(&wrong.clause),
            false => wrong.clause.clone(),
        };
        self.error(find(wrong.field).unwrap_or(Place::of_line(line.into())), &clause)
    }

    /// The number by which an event is named that stands on `line` and is the `nth` of all.
    #[inline]
    fn named(&mut self, line: u32, nth: u32) -> u32 {
        let History { format, reordered, faults, only_line, .. } = &mut self.history;
        if format.is_lines() {
            return line;
        }
        let number = self.numbers.of(line, nth, |line| {
            reordered.iter_mut().for_each(|numbers| numbers.fill(line));
            faults.stand_on(line);
        });
        *only_line = self.numbers.only_line();
        number
    }

    /// The history, all of which was taken.
    ///
    /// # Errors
    /// 65 where the order that `index` gives is none.
    pub fn finish(mut self) -> Result<History> {
        self.indexed_names()?;
        self.name_a_single_event_by_its_line();
        let by_workload = self.history.start.is_some();
        self.history.faults.settle(by_workload);
        let mut indexed = match &mut self.order {
            Order::OfIndex(held) => std::mem::take(held),
            Order::OfText(_) => Vec::new(),
        };
        // Of two events with one index it is not known which came first: the invocation goes first, so that
        // the two overlap and neither is said to precede the other.
        indexed.sort_by_key(|&(index, number, event)| (index, event.kind != Type::Invoke, number));
        for (_, number, _) in &mut indexed {
            *number = self.history.line(*number);
        }
        if !indexed.is_empty() {
            self.history.reordered = Some(indexed.iter().map(|&(_, number, _)| number).collect());
        }
        if indexed.iter().all(|(_, _, event)| event.kind != Type::Invoke) {
            for (pos, (_, _, event)) in (1..).zip(std::mem::take(&mut indexed)) {
                let wrong = pair::of_nothing(&self.history, &event);
                self.bare.push(pos, event, wrong);
            }
        }
        for (rank, &(_, number, event)) in indexed.iter().enumerate() {
            let paired = self.pairing.take(&mut self.history, rank as u32 + 1, &event);
            if let Err(wrong) = paired {
                let same = |&&(_, line, other): &&(u64, u32, Event)| {
                    (line, other.process, other.kind) == (number, event.process, event.kind)
                };
                let nth = indexed[..rank].iter().filter(same).count();
                return Err(self.misfit_on(number, &event, nth, &wrong));
            }
        }
        self.complete_bare()?;
        self.history.times_go_back = self.times.go_back();
        let in_place = |lines: &Vec<u32>| (1..).zip(lines).all(|(pos, &line)| pos == line);
        if self.history.reordered.as_ref().is_some_and(in_place) {
            self.history.reordered = None;
        }
        Ok(self.history)
    }

    /// A single event has a line for itself.
    fn name_a_single_event_by_its_line(&mut self) {
        let History { reordered, faults, only_line, .. } = &mut self.history;
        if let Some([number]) = reordered.as_deref_mut() {
            self.numbers.are_lines(|line| {
                *number = line;
                faults.stand_on(line);
            });
            *only_line = None;
        }
    }

    fn error(&self, place: Place, clause: &str) -> Error {
        place.error(&self.history.name, clause)
    }
}

/// What is wrong with an event of EDN whose process is missing.
fn of_process_0(clause: &str) -> String {
    format!("the event has no :process and so counts as one of process 0: {clause}")
}

/// The last line, without a newline and no JSON yet: what a killed writer leaves.
///
/// # Errors
/// 65 where it is another line, or that is not allowed.
pub fn cut(name: &str, raw: RawLine<'_>, clause: Clause, tolerance: Tolerance) -> Result<Item> {
    let is_cut = !raw.whole && clause.is_cut;
    let text = match (is_cut, tolerance) {
        (true, Tolerance::CutLastLine) => return Ok(Item::Cut),
        (true, Tolerance::Strict) => {
            format!("{}; the last line was cut short, and --lenient drops it", clause.text)
        }
        (false, _) => clause.text,
    };
    Err(Site::line(raw.number, raw.text).error(name, Clause { text, ..clause }))
}
