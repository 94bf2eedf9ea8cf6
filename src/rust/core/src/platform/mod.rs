//! What the machine says and gives: files and locks, memory and threads, the host and its processes, git.

pub mod folder;
pub mod git;
pub mod memory;
pub mod per_process;
pub mod rights;
pub mod sys;
pub mod threads;
