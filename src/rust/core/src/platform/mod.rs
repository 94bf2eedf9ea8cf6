//! What the machine says: files and locks, the host and its processes, git.

pub mod git;
pub mod sys;
