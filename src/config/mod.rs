//! The configuration: one TOML file, environment overrides above it, files of secrets beside it.
//!
//! The way of a configuration, one file a step:
//!
//! ```text
//! source     the text, parsed; every value keeps its place
//! overrides  LOCUM__A__B put into the same tree, under the variable's name
//! conform    the tree against the shape of the file: unknown keys, wrong types
//! file       what fits, read by serde
//! validate   every value parsed, every rule between them → Settings
//! ```
//!
//! No step hides the problems of another: whoever configures sees all of them at once, each with its place
//! and what would be right. Nobody else in the program reads the file or the environment.

mod conform;
pub mod duration;
mod file;
mod nearest;
mod overrides;
pub mod problems;
mod reference;
mod remarks;
mod rooms;
pub mod schema;
pub mod settings;
mod shape;
mod source;
mod template;
mod tree;
pub mod upstream;
mod validate;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

pub use problems::{Place, Problem, Problems};
pub use reference::reference;
pub use remarks::{Remark, remarks};
pub use settings::Settings;
pub use source::Source;

use tree::{At, Table};
use validate::Surroundings;

/// The configuration that `locum init` writes: every key with its comment, each at its default.
pub const TEMPLATE: &str = include_str!("../../config/locum.toml");

/// What the configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve requests: without an app there would be nothing but refusals, so that is a problem.
    Serve,
    /// To reach the store or the running gateway, apps or not.
    Administer,
}

/// Why a configuration could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no configuration `{}`; `locum init --config FILE` makes one", .0.display())]
    Missing(PathBuf),
    #[error("the configuration `{}` cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Invalid(Problems),
}

/// Reads the configuration file at `path`, with the overrides of `environment`.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong with it.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    purpose: Purpose,
) -> Result<Settings, LoadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Unreadable { path: path.to_owned(), error },
    };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let folder = std::path::absolute(path).map_err(unreadable)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let (source, broken) = Source::from_bytes(path.display().to_string(), bytes);
    if let Some(problem) = broken {
        return Err(LoadError::Invalid(Problems::new(source, vec![problem])));
    }
    read(source, folder, environment, purpose, &read_file).map_err(LoadError::Invalid)
}

#[expect(clippy::disallowed_methods, reason = "the configuration is read before anything is served")]
fn read_file(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// Reads a configuration from its text. `folder` is where relative paths start; `read_file` reads
/// what stands behind a `url_file` or a `ca_file`.
///
/// # Errors
/// With everything that is wrong with it.
pub fn read(
    source: Source,
    folder: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    purpose: Purpose,
    read_file: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Settings, Problems> {
    let mut tree = match source.parse() {
        Ok(tree) => tree,
        Err(problems) => return Err(Problems::new(source, problems)),
    };
    let mut problems = overrides::apply(&mut tree, environment);
    problems.extend(conform::conform(&mut tree));
    let around = Surroundings { folder, read_file, purpose };
    settings(&tree, &around, problems).map_err(|problems| Problems::new(source, problems))
}

fn settings(tree: &Table, around: &Surroundings<'_>, mut problems: Vec<Problem>) -> Result<Settings, Vec<Problem>> {
    let root = At::root(tree);
    match serde_json::from_value(tree.to_json()) {
        Ok(file) => validate::validate(&file, &root, around, problems),
        Err(error) => {
            problems.push(Problem::at(root.place(), error.to_string()));
            Err(problems)
        }
    }
}
