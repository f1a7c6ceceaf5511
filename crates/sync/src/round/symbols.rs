//! A round by symbols: one side sums up all that it holds, the other takes its own out of the sums until
//! the difference is left.
//!
//! Invariant: no more symbols are asked for, made or taken than [`SYMBOLS_MAX`] in a round, each window by
//! one pass over the ids; forged ones end in pages. Windows grow, so the passes of a round are few, and
//! those of a session are bounded by time; all of a round are over what was held at its start.

use std::ops::{ControlFlow, Range};

use weald_dag::{Graph, Number, StoreError};

use super::{Round, Scope};
use crate::close::PeerFault;
use crate::cost::Method;
use crate::ids::ShortList;
use crate::limits::{
    SHORTS_MAX, WINDOW_SYMBOLS_FACTOR, WINDOW_SYMBOLS_FIRST, WINDOW_SYMBOLS_MAX, WINDOW_SYMBOLS_MIN,
};
use crate::message::Control;
use crate::short::ShortIds;
use crate::symbols::{self, Coder, Decoded, Decoder, SYMBOLS_MAX, Symbol};

/// How far a round has come with symbols, on either side.
#[derive(Default)]
pub(super) struct Symbolic {
    /// What the side that asks has put together.
    decoder: Option<Decoder>,
    /// The places that were asked for and did not come yet.
    asked: Option<Range<usize>>,
    /// How many symbols the side that is asked has told.
    told: usize,
    /// The short ids that the peer has asked for so far.
    wanted: Vec<u64>,
    wanted_all: bool,
    /// What the peer lacks.
    lacked: Option<Vec<Number>>,
    /// Whether the peer has had so much gone over for it that it gets no further pass now.
    spent: bool,
    /// How many ids were gone over since that was last told.
    passed: u64,
}

impl Symbolic {
    /// Takes what the peer lacks, once it is known.
    pub(super) const fn take_lacked(&mut self) -> Option<Vec<Number>> {
        self.lacked.take()
    }
}

impl Round {
    /// Asks for the first symbols.
    pub(super) fn ask_symbols(&mut self, scope: &Scope<'_>, say: &mut Vec<Control>) {
        let ours = self.ours.entries;
        let theirs = self.theirs.as_ref().map_or(0, |theirs| theirs.announce.entries);
        // As many as the difference surely needs; where little is held, hardly more than that.
        let most = usize::try_from(ours.max(theirs)).unwrap_or(usize::MAX);
        let gap = usize::try_from(ours.abs_diff(theirs)).unwrap_or(usize::MAX);
        let first = most.clamp(WINDOW_SYMBOLS_MIN, WINDOW_SYMBOLS_FIRST);
        let first = first.max(gap.saturating_add(gap / 2)).min(WINDOW_SYMBOLS_MAX);
        self.symbolic.decoder = Some(Decoder::new(scope.shorts.checks()));
        self.ask_window(0..first, scope, say);
    }

    fn ask_window(&mut self, window: Range<usize>, scope: &Scope<'_>, say: &mut Vec<Control>) {
        self.method = self.method.max(Method::Symbols);
        let place = |place| u32::try_from(place).unwrap_or(u32::MAX);
        let (name, round) = (scope.name, self.number);
        let (from, to) = (place(window.start), place(window.end));
        say.push(Control::Code { name, round, from, to });
        self.symbolic.asked = Some(window);
        self.waits.ask();
    }

    /// Makes the symbols that the peer asks for: those after the ones that it has.
    pub(crate) fn code(
        &mut self,
        window: Range<usize>,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<Result<(), PeerFault>, StoreError> {
        let hushed = self.silent || self.theirs.as_ref().is_none_or(|their| their.announce.silent);
        let told = self.symbolic.told;
        // Each window costs a pass over all ids, so they must grow.
        let least = told.clamp(WINDOW_SYMBOLS_MIN, WINDOW_SYMBOLS_MAX);
        let grows = window.len() >= least || window.end == SYMBOLS_MAX;
        if self.leads || hushed || window.start != told || !grows || self.symbolic.wanted_all {
            return Ok(Err(PeerFault::Unexpected { what: "a question for symbols" }));
        }
        self.waits.hear();
        self.method = self.method.max(Method::Symbols);
        let (name, round, end) = (scope.name, self.number, window.end);
        match self.made(graph, scope.shorts, window)? {
            Some(made) => {
                self.symbolic.told = end;
                let symbols = symbols::encode(&made).into();
                say.push(Control::Symbols { name, round, symbols });
                self.waits.ask();
            }
            None => {
                self.by_pages = true;
                say.push(Control::Pages { name, round });
            }
        }
        Ok(Ok(()))
    }

    /// Takes the symbols of the peer: asks for those after them, or for what they tell.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<Result<(), PeerFault>, StoreError> {
        let Some(window) = self.symbolic.asked.take() else {
            return Ok(Err(PeerFault::Unexpected { what: "symbols" }));
        };
        self.waits.hear();
        let made = self.made(graph, scope.shorts, window.clone())?;
        let decoder = self.symbolic.decoder.as_mut();
        let Some((decoder, made)) = decoder.zip(made) else {
            self.give_up_symbols(scope, say);
            return Ok(Ok(()));
        };
        let taken = symbols::decode(bytes).and_then(|theirs| decoder.take(&theirs, &made));
        match taken {
            Ok(Some(decoded)) => self.decoded(decoded, graph, scope, say)?,
            Ok(None) => self.ask_more(window.end, scope, say),
            Err(_) => self.give_up_symbols(scope, say),
        }
        Ok(Ok(()))
    }

    fn ask_more(&mut self, so_far: usize, scope: &Scope<'_>, say: &mut Vec<Control>) {
        let theirs = self.theirs.as_ref().map_or(0, |theirs| theirs.announce.entries);
        let most = usize::try_from(self.ours.entries.max(theirs)).unwrap_or(usize::MAX);
        // Beyond that, the ids themselves are cheaper.
        if so_far >= most.saturating_mul(2).min(SYMBOLS_MAX) {
            return self.give_up_symbols(scope, say);
        }
        let more = so_far.saturating_mul(WINDOW_SYMBOLS_FACTOR).min(WINDOW_SYMBOLS_MAX);
        let end = so_far.saturating_add(more).min(SYMBOLS_MAX);
        self.ask_window(so_far..end, scope, say);
    }

    fn give_up_symbols(&mut self, scope: &Scope<'_>, say: &mut Vec<Control>) {
        self.symbolic.decoder = None;
        self.by_pages = true;
        say.push(Control::Pages { name: scope.name, round: self.number });
    }

    fn decoded(
        &mut self,
        decoded: Decoded,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
        say: &mut Vec<Control>,
    ) -> Result<(), StoreError> {
        self.symbolic.decoder = None;
        let (name, round) = (scope.name, self.number);
        let mut pages = decoded.theirs.chunks(SHORTS_MAX).peekable();
        loop {
            let shorts = ShortList(pages.next().unwrap_or_default().to_vec());
            let more = pages.peek().is_some();
            say.push(Control::WantShort { name, round, shorts, more });
            if !more {
                break;
            }
        }
        self.waits.ask();
        self.symbolic.lacked = Some(self.resolved(graph, scope.shorts, decoded.ours)?);
        Ok(())
    }

    /// Takes short ids that the peer lacks and asks for.
    pub(crate) fn want_short(
        &mut self,
        shorts: ShortList,
        more: bool,
        graph: Option<&Graph<'_>>,
        scope: &Scope<'_>,
    ) -> Result<Result<(), PeerFault>, StoreError> {
        let symbolic = &mut self.symbolic;
        let found = symbolic.wanted.len() + shorts.0.len();
        if symbolic.told == 0 || symbolic.wanted_all || found > symbolic.told {
            return Ok(Err(PeerFault::Unexpected { what: "a want of short ids" }));
        }
        symbolic.wanted.extend(shorts.0);
        if more {
            return Ok(Ok(()));
        }
        symbolic.wanted_all = true;
        let wanted = std::mem::take(&mut symbolic.wanted);
        self.symbolic.lacked = Some(self.resolved(graph, scope.shorts, wanted)?);
        self.waits.hear();
        Ok(Ok(()))
    }

    /// Says whether the peer has used up what may be gone over for it.
    pub(crate) const fn spare_passes(&mut self, spent: bool) {
        self.symbolic.spent = spent;
    }

    /// Takes how many ids were gone over since this was last asked.
    pub(crate) const fn passed(&mut self) -> u64 {
        std::mem::replace(&mut self.symbolic.passed, 0)
    }

    /// Makes the symbols of a window by one pass over all ids; `None` where there is nothing to sum up,
    /// or enough was gone over.
    fn made(
        &mut self,
        graph: Option<&Graph<'_>>,
        shorts: &ShortIds,
        window: Range<usize>,
    ) -> Result<Option<Vec<Symbol>>, StoreError> {
        let graph = graph.filter(|_| !self.symbolic.spent);
        let Some((graph, mut coder)) = graph.zip(Coder::new(shorts.checks(), window).ok()) else {
            return Ok(None);
        };
        self.each_short(graph, shorts, &mut |_, short| coder.add(short))?;
        Ok(Some(coder.finish()))
    }

    /// Finds the entries with these short ids by one pass over all ids; ascending.
    fn resolved(
        &mut self,
        graph: Option<&Graph<'_>>,
        shorts: &ShortIds,
        mut wanted: Vec<u64>,
    ) -> Result<Vec<Number>, StoreError> {
        let mut found = Vec::new();
        let Some(graph) = graph.filter(|_| !wanted.is_empty()) else {
            return Ok(found);
        };
        wanted.sort_unstable();
        self.each_short(graph, shorts, &mut |number, short| {
            found.extend(wanted.binary_search(&short).is_ok().then_some(number));
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Visits what was held when the round began, so that all windows are over the same, whatever has
    /// come since.
    fn each_short(
        &mut self,
        graph: &Graph<'_>,
        shorts: &ShortIds,
        visit: &mut dyn FnMut(Number, u64),
    ) -> Result<(), StoreError> {
        let newest = self.ours.newest;
        let mut passed = 0;
        graph.each_needed_id(&mut |number, id| {
            passed += 1;
            if Some(number) <= newest {
                visit(number, shorts.short(&id));
            }
            ControlFlow::Continue(())
        })?;
        self.symbolic.passed += passed;
        Ok(())
    }
}
