//! What the threads of one node share: how fresh an answer is, and what runs.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod in_flight;
mod subjects;
