//! The planner's table, row by row.
