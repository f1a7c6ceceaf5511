//! Who may do what in a database, as pure functions of its settings.
