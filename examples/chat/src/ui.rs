//! Draws the state into any size of screen; the input line is the last thing to go.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Row, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};
use weald::PublicKey;

use crate::app::{App, Panel};
use crate::history::{self, AGE_COLUMNS, Screen};
use crate::text::{graphemes, width, wrap};

/// Below this width the list of rooms is left out; the title tells the current one.
const LIST_FROM_COLUMNS: u16 = 60;
const LIST_COLUMNS: u16 = 20;
/// Names are told apart by these as well.
const NAME_COLOURS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Magenta, Color::Yellow, Color::Blue, Color::LightRed];

/// Draws everything; `now` is milliseconds since 1970.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &mut App, now: u64) {
    let area = frame.area();
    let list = if area.width >= LIST_FROM_COLUMNS { LIST_COLUMNS } else { 0 };
    let [list_area, right] =
        Layout::horizontal([Constraint::Length(list), Constraint::Min(0)]).areas(area);
    let title_rows = u16::from(area.height >= 4);
    let status_rows = u16::from(area.height >= 2);
    let [title, messages, status, input] = Layout::vertical([
        Constraint::Length(title_rows),
        Constraint::Min(0),
        Constraint::Length(status_rows),
        Constraint::Length(1),
    ])
    .areas(right);
    app.set_view(messages.width.into(), messages.height.into());
    draw_list(frame, list_area, app);
    draw_title(frame, title, app);
    draw_messages(frame, messages, app, now);
    if let Some(panel) = &app.panel {
        // All columns, so that a short ticket can be copied as one row.
        let height = area.height.saturating_sub(status.height + input.height);
        draw_panel(frame, Rect { height, ..area }, panel);
    }
    draw_status(frame, status, app);
    draw_input(frame, input, app);
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let block = Block::new().borders(Borders::RIGHT).border_style(dim());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let height = usize::from(inside.height.saturating_sub(1));
    let from = (app.current() + 1).saturating_sub(height);
    let mut rows = vec![Row::styled("Rooms", dim())];
    for (place, room) in app.rooms.iter().enumerate().skip(from).take(height) {
        let mark = if !room.here {
            '~'
        } else if room.unread {
            '*'
        } else {
            ' '
        };
        let text = fit(&format!("{mark} {}", room.title), inside.width.into());
        let style = if place == app.current() {
            Style::new().add_modifier(Modifier::REVERSED)
        } else if room.unread {
            Style::new().add_modifier(Modifier::BOLD)
        } else {
            Style::new()
        };
        rows.push(Row::styled(text, style));
    }
    frame.render_widget(Paragraph::new(rows), inside);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(room) = app.room() else { return };
    let mut title = vec![Span::styled(
        fit(&format!(" {} ", room.title), area.width.into()),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    if !room.history.follows() {
        let below =
            if room.unread { "new messages below: End" } else { "older messages; End: newest" };
        title.push(Span::styled(below, dim()));
    }
    frame.render_widget(Row::from(title), area);
}

fn draw_messages(frame: &mut Frame<'_>, area: Rect, app: &App, now: u64) {
    let Some(room) = app.room() else {
        let hint = "No room yet: /new NAME makes one, /join TICKET joins one.";
        frame.render_widget(Row::styled(hint, dim()), area);
        return;
    };
    let (width, height) = (area.width.into(), area.height.into());
    let screen = Screen { width, height, names: &room.names };
    let shown = room.history.rows(screen);
    if shown.is_empty() {
        let hint = if room.here {
            "No messages yet. /ticket shows how others join."
        } else {
            "Fetching this room; it comes as soon as one who has it can be reached."
        };
        frame.render_widget(Row::styled(fit(hint, width), dim()), area);
        return;
    }
    let blank = height.saturating_sub(shown.len());
    let mut rows = vec![Row::default(); blank];
    rows.extend(shown.iter().map(|row| message_row(row, screen, app.me, now)));
    frame.render_widget(Paragraph::new(rows), area);
}

fn message_row<'a>(row: &history::Row<'_>, screen: Screen<'_>, me: PublicKey, now: u64) -> Row<'a> {
    let indent = screen.indent(row.line);
    let text = Span::raw(row.text.clone());
    if !row.first {
        return Row::from(vec![Span::raw(" ".repeat(indent)), text]);
    }
    let age = format!("{:>width$} ", age(row.line.time, now), width = AGE_COLUMNS - 1);
    let label = fit(&screen.label(row.line), indent.saturating_sub(AGE_COLUMNS));
    let age = fit(&age, indent);
    Row::from(vec![
        Span::styled(age, dim()),
        Span::styled(label, name_style(&row.line.author, me)),
        text,
    ])
}

fn draw_panel(frame: &mut Frame<'_>, area: Rect, panel: &Panel) {
    let mut rows: Vec<Row<'_>> = vec![Row::styled(
        fit(&format!(" {} (Esc closes) ", panel.title), area.width.into()),
        Style::new().add_modifier(Modifier::REVERSED),
    )];
    for text in &panel.rows {
        rows.extend(wrap(text, area.width.into()).into_iter().map(Row::from));
    }
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(1).min(area.height);
    let area = Rect { height, ..area };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(rows), area);
}

fn draw_status(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let columns = usize::from(area.width);
    let bar = Style::new().add_modifier(Modifier::REVERSED);
    let status = &app.status;
    let text = match &status.error {
        Some(error) => format!(" ! {error}"),
        None => {
            let peers = match status.peers {
                0 => "no peer linked".to_owned(),
                1 => "1 peer".to_owned(),
                many => format!("{many} peers"),
            };
            let address = || status.address.as_deref().unwrap_or("not listening");
            let last = match &status.away {
                Some(away) => away.clone(),
                None => format!("{} | F1 help", address()),
            };
            format!(" {peers} | {} pending | {last}", status.pending)
        }
    };
    let style = if status.error.is_some() { bar.fg(Color::Red) } else { bar };
    let text = fit(&text, columns);
    let fill = " ".repeat(columns.saturating_sub(width(&text)));
    frame.render_widget(Row::styled(text + &fill, style), area);
}

fn draw_input(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let prompt = if area.width > 4 { "> " } else { "" };
    let columns = usize::from(area.width).saturating_sub(prompt.len());
    let (shown, column) = app.input.window(columns);
    frame.render_widget(Row::from(vec![Span::styled(prompt, dim()), Span::raw(shown)]), area);
    let column = u16::try_from(prompt.len() + column).unwrap_or(0);
    frame.set_cursor_position(Position::new(area.x.saturating_add(column), area.y));
}

/// Returns as much of a text as fits, with a mark where it was cut.
fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for grapheme in graphemes(text) {
        used += width(grapheme);
        if used > columns {
            break;
        }
        kept.push_str(grapheme);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// Returns how long ago a message was written, in at most four columns and in every time zone.
fn age(time: u64, now: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(365 * 24 * 3600, "y"), (24 * 3600, "d"), (3600, "h"), (60, "m")];
    let seconds = now.saturating_sub(time) / 1000;
    for (unit, letter) in UNITS {
        if seconds >= unit {
            return format!("{}{letter}", seconds / unit);
        }
    }
    "now".to_owned()
}

fn name_style(author: &PublicKey, me: PublicKey) -> Style {
    if *author == me {
        return Style::new().add_modifier(Modifier::BOLD);
    }
    let [first, ..] = *author.as_bytes();
    let colour = NAME_COLOURS.get(usize::from(first) % NAME_COLOURS.len());
    Style::new().fg(colour.copied().unwrap_or(Color::Reset))
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::app::Status;
    use crate::history::{Line, Reading};
    use crate::testing::{cursors, key, room};

    const MINUTE: u64 = 60_000;

    fn chat(texts: &[&str]) -> App {
        let mut app = App::new(key(1));
        app.set_room(room(1), "Demo".to_owned(), true);
        app.set_room(room(2), "Garden".to_owned(), false);
        app.show(room(1)).unwrap();
        let all = cursors(texts.len());
        let line = |(n, text): (usize, &&str)| Line {
            cursor: all[n],
            author: key(if n % 2 == 0 { 1 } else { 2 }),
            time: 0,
            text: (*text).to_owned(),
        };
        let lines = texts.iter().enumerate().map(line).collect();
        let first = app.room_mut(room(1)).unwrap();
        first.names.claim(key(1), "alice");
        first.names.claim(key(2), "bob");
        app.take(room(1), &Reading::Newest, lines, false);
        app
    }

    fn drawn(app: &mut App, columns: u16, rows: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, app, 5 * MINUTE)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..rows).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn everything_is_on_a_screen_of_80_by_24() {
        let mut app = chat(&["hello bob", "hello alice, how are you?"]);
        app.input.insert("quit");
        app.status =
            Status { address: Some("127.0.0.1:7300".to_owned()), peers: 1, ..Status::default() };
        let rows = drawn(&mut app, 80, 24);
        assert!(rows[0].starts_with("Rooms") && rows[0].ends_with("Demo"));
        assert!(rows[1].starts_with("  Demo") && rows[2].starts_with("~ Garden"));
        assert!(rows[20].ends_with("  5m alice: hello bob"), "{rows:#?}");
        assert!(rows[21].ends_with("  5m bob: hello alice, how are you?"));
        assert!(rows[22].contains("1 peer | 0 pending | 127.0.0.1:7300"));
        assert!(rows[23].ends_with("> quit"));
    }

    #[test]
    fn long_messages_are_wrapped_under_their_name() {
        let text = "one two three four five six seven eight nine ten eleven twelve";
        let mut app = chat(&[text]);
        let rows = drawn(&mut app, 40, 10);
        assert_eq!(rows[5], "  5m alice: one two three four five six");
        assert_eq!(rows[6], "            seven eight nine ten eleven");
    }

    #[test]
    fn any_size_can_be_drawn_and_the_input_line_goes_last() {
        let mut app = chat(&["hello 日本語", "👩‍👩‍👧 e\u{301}", "x"]);
        app.help();
        app.input.insert("日本 text");
        for columns in 1..90 {
            for rows in 1..12 {
                drawn(&mut app, columns, rows);
            }
        }
        assert_eq!(drawn(&mut app, 20, 1), ["> 日 本  text"]);
    }

    #[test]
    fn an_error_is_shown_in_the_last_row() {
        let mut app = chat(&[]);
        app.fail(&"port 7300 is in use\nby another");
        assert!(drawn(&mut app, 80, 24)[22].contains("! port 7300 is in use by another"));
    }

    #[test]
    fn a_ticket_starts_at_the_edge_and_is_shown_whole() {
        let mut app = chat(&["below"]);
        let text = "weald:".to_owned() + &"abcdefghij".repeat(20);
        app.panel = Some(Panel { title: "Ticket".to_owned(), rows: vec![text.clone()] });
        let rows = drawn(&mut app, 80, 24);
        assert_eq!(rows[1..4].concat(), text);
    }

    #[test]
    fn ages_take_four_columns() {
        assert_eq!(age(0, 59_000), "now");
        assert_eq!(age(0, 5 * MINUTE), "5m");
        assert_eq!(age(0, 25 * 60 * MINUTE), "1d");
        assert_eq!(age(9, 0), "now");
    }
}
