//! `locum serve`.

use super::arguments::{Global, ServeArguments};
use super::exit::Failure;

/// Runs the gateway until it is told to end.
pub(super) fn serve(_global: &Global, _arguments: &ServeArguments) -> Result<(), Failure> {
    Err(Failure::failed("this build does not serve"))
}
