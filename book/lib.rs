//! The guide's Rust blocks, compiled and run: each chapter is the documentation of a module.

macro_rules! chapter {
    ($name:ident, $file:literal) => {
        #[doc = include_str!(concat!("src/", $file))]
        pub mod $name {}
    };
}

chapter!(introduction, "introduction.md");
chapter!(getting_started, "getting-started.md");
chapter!(concepts, "concepts.md");
chapter!(table, "table.md");
chapter!(log, "log.md");
chapter!(doc, "doc.md");
chapter!(counter, "counter.md");
chapter!(set, "set.md");
chapter!(text, "text.md");
chapter!(own_types, "own-types.md");
chapter!(queries, "queries.md");
chapter!(history, "history.md");
chapter!(watching, "watching.md");
chapter!(conflicts, "conflicts.md");
chapter!(permissions, "permissions.md");
chapter!(revocation, "revocation.md");
chapter!(invites, "invites.md");
chapter!(keys, "keys.md");
chapter!(encryption, "encryption.md");
chapter!(threat_model, "threat-model.md");
chapter!(migration, "migration.md");
chapter!(import_export, "import-export.md");
chapter!(state, "state.md");
chapter!(entry_format, "entry-format.md");
chapter!(authority_format, "authority-format.md");
chapter!(errors, "errors.md");

/// The README's example.
#[doc = include_str!("../README.md")]
pub mod readme {}
chapter!(sync, "sync.md");
chapter!(sync_troubleshooting, "sync-troubleshooting.md");
chapter!(how_sync_works, "how-sync-works.md");
chapter!(promises, "promises.md");
chapter!(coming_from, "coming-from.md");
chapter!(performance, "performance.md");
