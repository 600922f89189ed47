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
//! fixed      what a process that runs cannot take up
//! ```
//!
//! No step hides the problems of another: whoever configures sees all of them at once, each with its place
//! and what would be right. Nobody else in the program reads the file or the environment.

mod conform;
pub mod duration;
mod file;
mod fixed;
mod nearest;
mod overrides;
pub mod problems;
mod reference;
mod remarks;
mod rooms;
pub mod schema;
pub mod settings;
mod shape;
pub mod size;
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
    /// It is right, and a process that runs cannot take it up.
    #[error("{0}")]
    Fixed(Problems),
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
    let (source, folder) = open(path)?;
    read(source, &folder, environment, purpose, &read_file).map_err(LoadError::Invalid)
}

/// Reads it anew, for a gateway that runs by `in_force`, as the file and the environment were read then.
///
/// # Errors
/// As [`load`]; and [`LoadError::Fixed`] with every key that changed and cannot while it runs.
pub fn load_again(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    in_force: &Settings,
) -> Result<Settings, LoadError> {
    let (source, folder) = open(path)?;
    let (tree, problems) = tree(&source, environment).map_err(|list| invalid(&source, list))?;
    let around = Surroundings { folder: &folder, read_file: &read_file, purpose: Purpose::Serve };
    let settings = settings(&tree, &around, problems).map_err(|list| invalid(&source, list))?;
    let changed = fixed::changed(in_force, &settings, &At::root(&tree));
    if changed.is_empty() { Ok(settings) } else { Err(LoadError::Fixed(Problems::new(source, changed))) }
}

fn invalid(source: &Source, list: Vec<Problem>) -> LoadError {
    LoadError::Invalid(Problems::new(source.clone(), list))
}

/// The text of the file at `path`, and the folder in which it lies.
fn open(path: &Path) -> Result<(Source, PathBuf), LoadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Unreadable { path: path.to_owned(), error },
    };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let folder = std::path::absolute(path).map_err(unreadable)?;
    let folder = folder.parent().unwrap_or(Path::new("/")).to_owned();
    let (source, broken) = Source::from_bytes(path.display().to_string(), bytes);
    match broken {
        Some(problem) => Err(invalid(&source, vec![problem])),
        None => Ok((source, folder)),
    }
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
    let around = Surroundings { folder, read_file, purpose };
    let read = tree(&source, environment).and_then(|(tree, problems)| settings(&tree, &around, problems));
    read.map_err(|problems| Problems::new(source, problems))
}

/// What the text and the environment say together, with what is wrong with its shape.
fn tree(
    source: &Source,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Table, Vec<Problem>), Vec<Problem>> {
    let mut tree = source.parse()?;
    let mut problems = overrides::apply(&mut tree, environment);
    problems.extend(conform::conform(&mut tree));
    Ok((tree, problems))
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
