//! The command line: everything that the admin API does, for whoever holds the machine.
//!
//! ```text
//!   arguments   what can be typed
//!   find        which gateway is meant, and whether it runs
//!   client      the admin API: over its socket, or in-process where no gateway runs
//!   over_network   a gateway elsewhere, spoken to with a key
//!   command     one file a family: a call or two, and what is printed
//!   output      tables for people, JSON for programs
//!   exit        how a command ends
//! ```
//!
//! Architecture invariant: no command reads or writes the store by itself. What a running gateway does
//! on behalf of a command and what the command does alone is the same router over the same operations. Only what
//! concerns the database as a whole, with no gateway on it, goes to the store: `db restore` and `db move`.

pub mod arguments;
mod client;
mod command;
mod exit;
mod find;
mod in_process;
mod output;
mod over_network;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Administration, Arguments, AuditCommand, Command, Global, PatCommand};
use client::Client;
use exit::Failure;
use output::Output;

/// Reads the command line, does what it says, and answers with the exit code: 0 done, 1 failed or
/// refused, 2 what was typed cannot be meant, 78 the configuration is wrong.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.global.json);
    match run(arguments, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.complain(&failure);
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let Arguments { global, command } = arguments;
    match command {
        // Serving makes runtimes of its own.
        Command::Serve(serve) => serve::serve(&global, &serve),
        Command::Init => command::init::init(&global, output),
        Command::Config(config) => command::check::config(&config),
        Command::Completions(completions) => command::program::completions(&completions),
        Command::Version => command::program::version(output),
        Command::Check => runtime()?.block_on(command::check::check(&global, output)),
        Command::Reload => runtime()?.block_on(command::program::reload(&global, output)),
        Command::Restart => runtime()?.block_on(command::program::restart(&global, output)),
        Command::Healthcheck => runtime()?.block_on(command::program::healthcheck(&global, output)),
        Command::Db(db) => runtime()?.block_on(command::database::db(&global, db, output)),
        Command::Administer(Administration::Pat(PatCommand::Check(check))) if check.offline => {
            command::pat_check::offline(&global, output)
        }
        Command::Administer(Administration::Audit(AuditCommand::Verify(asked))) if !asked.exports.is_empty() => {
            command::audit::offline(&asked, output)
        }
        Command::Administer(administration) => runtime()?.block_on(administer(&global, administration, output)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| Failure::failed(format!("the runtime cannot be made: {error}")))
}

async fn administer(global: &Global, administration: Administration, output: Output) -> Result<(), Failure> {
    let client = Client::connect(global).await?;
    let done = ask(&client, administration, output).await;
    client.close().await;
    done
}

async fn ask(client: &Client, administration: Administration, output: Output) -> Result<(), Failure> {
    match administration {
        Administration::Person(person) => command::account::person(client, person, output).await,
        Administration::ProxyUser(proxy_user) => command::account::proxy_user(client, proxy_user, output).await,
        Administration::Pat(pat) => command::pat::pat(client, pat, output).await,
        Administration::Reason(reason) => command::catalogue::reason(client, reason, output).await,
        Administration::Role(role) => command::role::role(client, role, output).await,
        Administration::App(app) => command::catalogue::app(client, app, output).await,
        Administration::Admin(admin) => command::administrator::admin(client, admin, output).await,
        Administration::ApiKey(key) => command::api_key::api_key(client, key, output).await,
        Administration::Name(name) => command::catalogue::name(client, name, output).await,
        Administration::LegacyName(name) => command::legacy_name::legacy_name(client, name, output).await,
        Administration::Keys(keys) => command::keys::keys(client, keys, output).await,
        Administration::Job(job) => command::job::job(client, job, output).await,
        Administration::Import(import) => command::import::import(client, import, output).await,
        Administration::History(history) => command::history::history(client, history, output).await,
        Administration::Audit(audit) => command::audit::audit(client, audit, output).await,
    }
}
