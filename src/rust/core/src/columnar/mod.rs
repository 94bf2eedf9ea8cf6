//! Many values: columns of them, in blocks that are in memory or in the file of an index.

pub mod blocks;
pub mod cells;
pub mod columns;
pub mod index_file;
pub mod strings;
