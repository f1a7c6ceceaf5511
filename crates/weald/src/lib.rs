//! An embeddable, replicated database for local-first and peer-to-peer apps.
