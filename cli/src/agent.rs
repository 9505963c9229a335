//! `ringfence agent`: learn mode on one node of a cluster.
//!
//! `pods` watches the node's own pods, `owner` finds the workloads they belong to, `tenures` turns both into who held which
//! address when.

pub(crate) mod owner;
pub(crate) mod pods;
pub(crate) mod tenures;
