//! A letter is always text: commands are keys without a letter, letters with Ctrl, and lines that begin with a slash.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::app::{App, Request};

/// Takes an event of the terminal.
pub(crate) fn handle(app: &mut App, event: &Event) -> Option<Request> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => press(app, key),
        Event::Paste(text) => {
            insert(app, text);
            None
        }
        _ => None,
    }
}

fn press(app: &mut App, key: &KeyEvent) -> Option<Request> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    // AltGr is reported as Ctrl and Alt together, and makes letters.
    let letter = !control || key.modifiers.contains(KeyModifiers::ALT);
    if app.panel.take().is_some() && matches!(key.code, KeyCode::Esc | KeyCode::Enter) {
        return None;
    }
    match key.code {
        KeyCode::Char(c) if letter => insert(app, c.encode_utf8(&mut [0; 4])),
        KeyCode::Char(c) => return control_key(app, c),
        KeyCode::Enter => return app.enter(),
        KeyCode::PageUp => return app.scroll_screens(1),
        KeyCode::PageDown => return app.scroll_screens(-1),
        KeyCode::Up => return app.scroll(1),
        KeyCode::Down => return app.scroll(-1),
        KeyCode::End => return end(app),
        KeyCode::F(1) => app.help(),
        KeyCode::F(2) => return app.ticket(),
        KeyCode::Left => app.input.left(),
        KeyCode::Right => app.input.right(),
        KeyCode::Home => app.input.start(),
        KeyCode::Backspace => app.input.backspace(),
        KeyCode::Delete => app.input.delete(),
        KeyCode::Esc => app.status.error = None,
        _ => {}
    }
    None
}

fn control_key(app: &mut App, c: char) -> Option<Request> {
    match c.to_ascii_lowercase() {
        'c' | 'q' => return Some(Request::Quit),
        'n' => return app.step(1),
        'p' => return app.step(-1),
        't' => return app.ticket(),
        'a' => app.input.start(),
        'e' => app.input.end(),
        'u' => app.input.delete_to_start(),
        'k' => app.input.delete_to_end(),
        'w' => app.input.delete_word(),
        // Many terminals send Ctrl-H for Backspace.
        'h' => app.input.backspace(),
        'd' if app.input.is_empty() => return Some(Request::Quit),
        'd' => app.input.delete(),
        _ => {}
    }
    None
}

/// End goes to the newest message when an older one is shown, else to the end of the line.
fn end(app: &mut App) -> Option<Request> {
    if app.room().is_some_and(|room| !room.history.follows()) {
        return app.go_to_newest();
    }
    app.input.end();
    None
}

fn insert(app: &mut App, text: &str) {
    if !app.input.insert(text) {
        app.fail(&"that makes the message too long; send it in parts");
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEventState;

    use super::*;
    use crate::testing::{key, room};

    fn chat() -> App {
        let mut app = App::new(key(1));
        app.set_room(room(1), "Demo".to_owned(), true);
        app.set_room(room(2), "Garden".to_owned(), false);
        app
    }

    fn event(code: KeyCode, modifiers: KeyModifiers) -> Event {
        let (kind, state) = (KeyEventKind::Press, KeyEventState::NONE);
        Event::Key(KeyEvent { code, modifiers, kind, state })
    }

    fn plain(app: &mut App, code: KeyCode) -> Option<Request> {
        handle(app, &event(code, KeyModifiers::NONE))
    }

    fn write(app: &mut App, text: &str) -> Option<Request> {
        for c in text.chars() {
            assert_eq!(plain(app, KeyCode::Char(c)), None);
        }
        plain(app, KeyCode::Enter)
    }

    #[test]
    fn no_letter_is_a_command() {
        let mut app = chat();
        let letters: String = (' '..='~').chain("äßñ日한ع".chars()).filter(|c| *c != '/').collect();
        let said = write(&mut app, &letters);
        assert_eq!(said, Some(Request::Say(room(1), letters)));
        assert!(app.input.is_empty());
    }

    #[test]
    fn letters_made_with_the_right_alt_key_are_text() {
        let mut app = chat();
        let right_alt = KeyModifiers::CONTROL | KeyModifiers::ALT;
        assert_eq!(handle(&mut app, &event(KeyCode::Char('q'), right_alt)), None);
        assert_eq!(app.input.text(), "q");
    }

    #[test]
    fn paste_is_not_sent_by_itself() {
        let mut app = chat();
        assert_eq!(handle(&mut app, &Event::Paste("one\ntwo\n".to_owned())), None);
        assert_eq!(app.input.text(), "one two ");
    }

    #[test]
    fn control_keys_and_commands_do_the_same() {
        let mut app = chat();
        let control = |c| event(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(handle(&mut app, &control('c')), Some(Request::Quit));
        assert_eq!(write(&mut app, "/quit"), Some(Request::Quit));
        assert_eq!(handle(&mut app, &control('t')), Some(Request::Ticket(room(1))));
        assert_eq!(write(&mut app, "/ticket"), Some(Request::Ticket(room(1))));
        assert_eq!(handle(&mut app, &control('n')), Some(Request::Opened(room(2))));
        assert_eq!(write(&mut app, "/room demo"), Some(Request::Opened(room(1))));
        assert_eq!(write(&mut app, "/new Attic"), Some(Request::Create("Attic".to_owned())));
        assert_eq!(write(&mut app, "/rooms"), None);
        assert_eq!(app.panel.as_ref().map(|panel| panel.rows.len()), Some(2));
        assert_eq!(plain(&mut app, KeyCode::Esc), None);
        assert_eq!(app.panel, None);
    }

    #[test]
    fn the_shown_room_stays_when_the_list_changes() {
        let mut app = chat();
        app.show(room(2)).unwrap();
        app.set_room(room(3), "Attic".to_owned(), true);
        assert_eq!(app.rooms[0].id, room(3));
        assert_eq!(app.room().map(|room| room.id), Some(room(2)));
        app.remove(room(3));
        assert_eq!(app.room().map(|room| room.id), Some(room(2)));
        app.remove(room(2));
        app.remove(room(1));
        assert!(app.room().is_none() && app.step(1).is_none());
    }

    #[test]
    fn what_could_not_be_done_stays_written() {
        let mut app = chat();
        assert_eq!(write(&mut app, "/nonsense"), None);
        assert!(app.status.error.as_ref().is_some_and(|error| error.contains("/help")));
        assert_eq!(app.input.text(), "/nonsense");
        app.input.take();
        app.show(room(2)).unwrap();
        assert_eq!(write(&mut app, "hello"), None);
        assert!(app.status.error.as_ref().is_some_and(|error| error.contains("not been fetched")));
        assert_eq!(app.input.text(), "hello");
    }
}
