//! A window on the messages of a room: whole and in order between its ends; where the reader
//! looks does not move when messages arrive.

use weald::{Cursor, PublicKey};

use crate::names::Names;
use crate::text::{width, wrap};

/// How many messages are read at once.
pub(crate) const PAGE: usize = 100;
/// How many messages the window holds at most.
pub(crate) const WINDOW_MAX: usize = 2_000;

/// Holds one message as the screen needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it stands in the room.
    pub(crate) cursor: Cursor,
    /// The key that signed it.
    pub(crate) author: PublicKey,
    /// When it was written: milliseconds since 1970.
    pub(crate) time: u64,
    /// What it says, as one line.
    pub(crate) text: String,
}

/// Says which messages a window needs to be up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The newest [`PAGE`].
    Newest,
    /// The first [`WINDOW_MAX`] after this one.
    After(Cursor),
    /// The [`PAGE`] before this one.
    Before(Cursor),
}

/// Holds the loaded messages and where the reader looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    lines: Vec<Line>,
    reaches_start: bool,
    reaches_end: bool,
    /// The lowest line shown, and how many of its rows are below the screen; `None` follows the newest.
    anchor: Option<(Cursor, usize)>,
}

/// An end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Where older messages are.
    Start,
    /// Where newer messages are.
    End,
}

/// A row of the screen: which line, and which row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    row: usize,
}

/// Holds what is shown of a line in a screen row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// The message.
    pub(crate) line: &'a Line,
    /// Whether it is the first row of the message, before which name and age stand.
    pub(crate) first: bool,
    /// The text of the row.
    pub(crate) text: String,
}

impl History {
    /// Returns which messages to read after something has changed.
    pub(crate) fn reading(&self) -> Reading {
        match (&self.anchor, self.lines.first()) {
            (Some(_), Some(first)) => Reading::After(first.cursor),
            _ => Reading::Newest,
        }
    }

    /// Returns which messages to read when the reader has come to an edge of the window.
    pub(crate) fn reading_at(&self, edge: Edge) -> Option<Reading> {
        let first = self.lines.first()?.cursor;
        match edge {
            Edge::Start => (!self.reaches_start).then_some(Reading::Before(first)),
            // Without what is at the start there is room for as much at the end.
            Edge::End => {
                let kept = self.lines.get(PAGE.min(self.lines.len() - 1))?.cursor;
                (!self.reaches_end).then_some(Reading::After(kept))
            }
        }
    }

    /// Takes the messages of a reading; `more` says that there are others beyond its far end.
    pub(crate) fn take(&mut self, reading: &Reading, mut read: Vec<Line>, more: bool) {
        match reading {
            Reading::Newest => (self.reaches_start, self.reaches_end) = (!more, true),
            Reading::After(cursor) => {
                self.lines.retain(|line| line.cursor <= *cursor);
                self.lines.append(&mut read);
                read = std::mem::take(&mut self.lines);
                let over = read.len().saturating_sub(WINDOW_MAX);
                read.drain(..over);
                // A message written long ago may have come in before the first that is loaded.
                (self.reaches_start, self.reaches_end) = (false, !more);
            }
            Reading::Before(cursor) => {
                self.reaches_start = !more;
                read.extend(self.lines.drain(..).filter(|line| line.cursor >= *cursor));
                self.reaches_end &= read.len() <= WINDOW_MAX;
                read.truncate(WINDOW_MAX);
            }
        }
        self.lines = read;
    }

    /// Returns whether the newest message is followed.
    pub(crate) fn follows(&self) -> bool {
        self.anchor.is_none()
    }

    /// Goes back to the newest message.
    pub(crate) fn go_to_newest(&mut self) {
        self.anchor = None;
    }

    /// Returns the loaded messages.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Moves up by rows (down if negative), and returns the edge of the window if it was reached.
    pub(crate) fn scroll(&mut self, rows: isize, screen: Screen<'_>) -> Option<Edge> {
        let places = self.places(screen);
        let lowest = screen.height.min(places.len());
        let wanted = self.end(&places).saturating_add_signed(-rows).clamp(lowest, places.len());
        if wanted == places.len() && self.reaches_end {
            self.anchor = None;
        } else if let Some(place) = wanted.checked_sub(1).and_then(|last| places.get(last)) {
            let hidden = places.iter().skip(wanted).take_while(|p| p.line == place.line).count();
            self.anchor = self.lines.get(place.line).map(|line| (line.cursor, hidden));
        }
        if rows > 0 {
            (wanted == lowest).then_some(Edge::Start)
        } else {
            (wanted == places.len()).then_some(Edge::End)
        }
    }

    /// Returns the rows that the screen shows, from top to bottom.
    pub(crate) fn rows<'a>(&'a self, screen: Screen<'_>) -> Vec<Row<'a>> {
        let places = self.places(screen);
        let end = self.end(&places).max(screen.height.min(places.len()));
        let from = end.saturating_sub(screen.height);
        let shown = places.iter().skip(from).take(end - from);
        shown.filter_map(|place| self.row(*place, screen)).collect()
    }

    fn row<'a>(&'a self, place: Place, screen: Screen<'_>) -> Option<Row<'a>> {
        let line = self.lines.get(place.line)?;
        let text = wrapped(line, screen).into_iter().nth(place.row)?;
        Some(Row { line, first: place.row == 0, text })
    }

    fn places(&self, screen: Screen<'_>) -> Vec<Place> {
        let rows = |(line, message): (usize, &Line)| {
            (0..wrapped(message, screen).len()).map(move |row| Place { line, row })
        };
        self.lines.iter().enumerate().flat_map(rows).collect()
    }

    /// Returns how many rows stand above the lower border of the screen.
    fn end(&self, places: &[Place]) -> usize {
        let Some((cursor, hidden)) = &self.anchor else { return places.len() };
        let line = self.lines.partition_point(|line| line.cursor <= *cursor);
        places.partition_point(|place| place.line < line).saturating_sub(*hidden)
    }
}

/// Holds what wrapping depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen<'a> {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Who is shown how.
    pub(crate) names: &'a Names,
}

/// Columns of the age of a message and the space after it.
pub(crate) const AGE_COLUMNS: usize = 5;

impl Screen<'_> {
    /// Returns what stands between the age and the text of a message.
    pub(crate) fn label(&self, line: &Line) -> String {
        format!("{}: ", self.names.shown(&line.author))
    }

    /// Returns how many columns all rows of a message are indented by.
    pub(crate) fn indent(&self, line: &Line) -> usize {
        (AGE_COLUMNS + width(&self.label(line))).min(self.width / 2)
    }
}

fn wrapped(line: &Line, screen: Screen<'_>) -> Vec<String> {
    wrap(&line.text, screen.width.saturating_sub(screen.indent(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cursors, key};

    fn lines(cursors: &[Cursor]) -> Vec<Line> {
        let line = |(n, cursor): (usize, &Cursor)| Line {
            cursor: *cursor,
            author: key(2),
            time: 0,
            text: format!("message {n}"),
        };
        cursors.iter().enumerate().map(line).collect()
    }

    fn shown(history: &History, screen: Screen<'_>) -> Vec<String> {
        history.rows(screen).into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn the_newest_are_followed() {
        let (names, all) = (Names::default(), lines(&cursors(9)));
        let screen = Screen { width: 60, height: 3, names: &names };
        let mut history = History::default();
        assert!(shown(&history, screen).is_empty());
        history.take(&Reading::Newest, all[..5].to_vec(), false);
        assert_eq!(shown(&history, screen), ["message 2", "message 3", "message 4"]);
        assert_eq!(history.reading(), Reading::Newest);
        history.take(&Reading::Newest, all[2..].to_vec(), true);
        assert_eq!(shown(&history, screen), ["message 6", "message 7", "message 8"]);
    }

    #[test]
    fn what_is_read_does_not_move() {
        let (names, all) = (Names::default(), lines(&cursors(20)));
        let screen = Screen { width: 60, height: 3, names: &names };
        let mut history = History::default();
        history.take(&Reading::Newest, all[4..12].to_vec(), true);
        assert_eq!(history.scroll(2, screen), None);
        let before = shown(&history, screen);
        assert_eq!(before, ["message 7", "message 8", "message 9"]);
        let reading = history.reading();
        assert_eq!(reading, Reading::After(all[4].cursor));
        history.take(&reading, all[5..].to_vec(), false);
        assert_eq!(shown(&history, screen), before);
        assert_eq!(history.scroll(-100, screen), Some(Edge::End));
        assert!(history.follows());
        assert_eq!(shown(&history, screen).last().unwrap(), "message 19");
    }

    #[test]
    fn older_pages_come_at_the_start() {
        let (names, all) = (Names::default(), lines(&cursors(12)));
        let screen = Screen { width: 60, height: 3, names: &names };
        let mut history = History::default();
        history.take(&Reading::Newest, all[6..].to_vec(), true);
        assert_eq!(history.scroll(100, screen), Some(Edge::Start));
        let before = shown(&history, screen);
        let reading = history.reading_at(Edge::Start).unwrap();
        assert_eq!(reading, Reading::Before(all[6].cursor));
        history.take(&reading, all[..6].to_vec(), false);
        assert_eq!(shown(&history, screen), before);
        assert_eq!(history.reading_at(Edge::Start), None);
        history.scroll(100, screen);
        assert_eq!(shown(&history, screen).first().unwrap(), "message 0");
    }

    #[test]
    fn the_window_is_bounded_and_slides_both_ways() {
        let names = Names::default();
        let all = lines(&cursors(WINDOW_MAX + 3 * PAGE));
        let screen = Screen { width: 60, height: 10, names: &names };
        let mut history = History::default();
        let mut from = all.len() - PAGE;
        history.take(&Reading::Newest, all[from..].to_vec(), true);
        while from > 0 {
            assert_eq!(history.scroll(isize::MAX, screen), Some(Edge::Start));
            let reading = history.reading_at(Edge::Start).unwrap();
            from -= PAGE;
            history.take(&reading, all[from..from + PAGE].to_vec(), from > 0);
            assert!(history.lines().len() <= WINDOW_MAX);
        }
        assert_eq!(history.lines().first(), all.first());
        loop {
            assert_eq!(history.scroll(-isize::MAX, screen), Some(Edge::End));
            let Some(reading) = history.reading_at(Edge::End) else { break };
            let Reading::After(cursor) = &reading else { panic!("{reading:?}") };
            let start = all.iter().position(|line| line.cursor == *cursor).unwrap() + 1;
            let end = all.len().min(start + WINDOW_MAX);
            history.take(&reading, all[start..end].to_vec(), end < all.len());
            assert!(history.lines().len() <= WINDOW_MAX);
        }
        assert!(history.follows());
        assert_eq!(history.lines().last(), all.last());
    }

    #[test]
    fn a_message_longer_than_the_screen_can_be_read() {
        let (names, mut all) = (Names::default(), lines(&cursors(3)));
        let words: Vec<String> = (0..200).map(|n| format!("w{n}")).collect();
        all[1].text = words.join(" ");
        let screen = Screen { width: 40, height: 4, names: &names };
        let mut history = History::default();
        history.take(&Reading::Newest, all, false);
        let mut seen = shown(&history, screen).join(" ");
        while history.scroll(3, screen).is_none() {
            seen.push_str(&shown(&history, screen).join(" "));
        }
        assert!(words.iter().all(|word| seen.contains(word)));
    }
}
