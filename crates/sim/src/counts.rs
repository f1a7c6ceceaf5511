//! What was counted in a world, and in many.
//!
//! Invariant: every figure is a sum over worlds, but for those that are the greatest of all.

macro_rules! counts {
    (sums { $($(#[$sum_doc:meta])* $sum:ident,)* } greatest { $($(#[$max_doc:meta])* $max:ident,)* }) => {
        /// What was counted in a world.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$sum_doc])* pub $sum: u64,)*
            $($(#[$max_doc])* pub $max: u64,)*
        }

        impl Counts {
            /// Adds what was counted in another world.
            pub fn add(&mut self, other: &Self) {
                $(self.$sum += other.$sum;)*
                $(self.$max = self.$max.max(other.$max);)*
            }
        }
    };
}

counts! {
    sums {
        /// Commits that were acknowledged.
        commits,
        /// Commits that were refused because their author may not make them, or not any more, or because
        /// of a clock.
        not_permitted,
        /// Entries that were hidden by others, when all was at rest.
        hidden,
        /// Hidden entries that were dropped because a site was asked to.
        pruned,
        /// Sites that may not read a database, when all was at rest.
        shut_off,
        /// Sessions that proved themselves, at the end that dialled.
        sessions,
        /// Rounds that settled.
        rounds,
        /// Rounds in which both sides held the same.
        by_equal,
        /// Rounds in which one side held all that the other did.
        by_fast_forward,
        /// Rounds that knew enough that was common.
        by_common,
        /// Rounds that told the difference by filters.
        by_filter,
        /// Rounds that told it by symbols.
        by_symbols,
        /// Rounds that told it by ids, page after page.
        by_pages,
        /// Entries that were received and stored.
        received,
        /// Entries that were received and held already.
        duplicates,
        /// Entries that were received and kept out for their time.
        held_back,
        /// Entries that were received, hidden, and not kept.
        unwanted,
        /// Entries that were received and refused.
        refused,
        /// Frames that were sent.
        frames,
        /// Bytes that were sent.
        bytes,
        /// Faults of every kind.
        faults,
        /// Sites that came up with an older copy of their disk.
        restored,
        /// Sessions that ended because the peer or the path was at fault.
        accusations,
        /// Sessions with the liar that an honest site ended because it lied.
        shut_out,
    }
    greatest {
        /// The most round trips that a round took.
        round_trips_max,
        /// The most rounds of one database in one session from the moment when all was well until all was at
        /// rest, where no site starts rounds of itself.
        rounds_max,
        /// The most jobs that waited for one writer.
        jobs_max,
        /// The most batches and entries that waited in one session for one database.
        pending_max,
    }
}
