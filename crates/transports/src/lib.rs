//! Links between instances, and the actor that syncs over them.
