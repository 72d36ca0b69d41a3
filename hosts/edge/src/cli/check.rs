//! `vestibule check`: everything that is wrong with a configuration file, before anything runs on it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use vestibule::config::Config;
use vestibule_wasmtime::{Accept, Carried, Configuration, ConfigurationFile, Filter, FilterComponent, FilterOptions};

use crate::audit::place::{self, Asking};
use crate::causes;
use crate::cli::arguments::Check;
use crate::cli::serve::DEFAULT_PORT;
use crate::cli::{check_store, component, online};
use crate::configuration::native;
use crate::configuration::public_address::{self, Listening};
use crate::configuration::reload::everybody_reads;
use crate::listen::tls;
use crate::store;
use crate::upstream::application::Upstream;
use crate::upstream::authorities;

/// What `check` says of a configuration that can be used.
pub struct Checked {
    pub filter: Filter,
    /// As the core reads it in this program.
    pub config: Config,
    /// Where the list of ended sessions is kept.
    pub store: Option<store::Settings>,
    /// Each with the name of the file, and a remedy.
    pub warnings: Vec<String>,
}

/// Prints every fault to stderr and fails with exit code 1, or prints the warnings and what the file configures: exit code
/// 0, with `--strict` 1 when there are warnings.
///
/// # Errors
/// There is no component.
#[expect(clippy::print_stdout, reason = "the verdict is what was asked for; faults go to stderr")]
pub async fn run(arguments: &Check, carried: &Carried) -> anyhow::Result<ExitCode> {
    // Before a component is compiled, which takes seconds.
    ConfigurationFile::find(&arguments.config)?;
    let component = component::load(&arguments.common, carried)?;
    let Checked { filter, config, store, mut warnings } = match examine(&component, arguments).await {
        Ok(checked) => checked,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{}", causes::told(fault)));
            return Ok(ExitCode::FAILURE);
        }
    };
    let online = match arguments.online {
        true => online::look(&filter, &config).await,
        false => Vec::new(),
    };
    let is_reachable = online.iter().all(|found| found.faults.is_empty());
    let store = match store.filter(|_| arguments.online) {
        Some(settings) => Some(store::look(&settings, None).await),
        None => None,
    };
    let has_store = store.as_ref().is_none_or(|found| found.fault.is_none());
    for found in online {
        print!("{found}");
        found.faults.iter().for_each(|fault| eprintln!("{}", found.of_provider(fault)));
        let told = found.warnings.iter().map(|warning| format!("provider `{}`: warning: {}", found.name, online::printable(warning)));
        warnings.extend(told);
    }
    if let Some(found) = store {
        print!("{}", online::StoreLines(&found));
        found.fault.iter().for_each(|fault| {
            eprintln!("store {}: {}. Until then, requests with a session are answered 503", found.place, online::printable(fault));
        });
    }
    warnings.iter().for_each(|warning| eprintln!("{warning}"));
    if !is_reachable || !has_store || (arguments.strict && !warnings.is_empty()) {
        return Ok(ExitCode::FAILURE);
    }
    let summary = filter.summary();
    println!("{}: in order, for {}", arguments.config.display(), summary.public_origin);
    if let Some(authorization) = &summary.authorization {
        println!("paths that the proxy sends to Vestibule without asking first: {}", config.public.routes().join(", "));
        println!("request headers that the proxy copies from an answer: Cookie, {}", authorization.identity_headers.join(", "));
        println!("request headers that the proxy removes: {}", authorization.removed_headers.join(", "));
        println!("cookies that an answer can set: {}", authorization.session_cookies.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the configuration as `vestibule serve` does, and everything that the command line and the environment name beside it.
///
/// # Errors
/// Everything that keeps `vestibule serve` from starting, as far as it can be known before.
pub async fn examine(component: &FilterComponent, arguments: &Check) -> Result<Checked, Vec<anyhow::Error>> {
    let mut warnings = Vec::new();
    let loaded = load(component, arguments, &mut warnings).await;
    let tls = check_tls(arguments, &mut warnings);
    let authorities = authorities::check().map_err(anyhow::Error::from);
    let (filter, configuration) = match (loaded, tls, authorities) {
        (Ok(loaded), Ok(()), Ok(())) => loaded,
        (loaded, tls, authorities) => return Err([loaded.err(), tls.err(), authorities.err()].into_iter().flatten().collect()),
    };
    warnings.extend(address_warning(&configuration, arguments));
    warnings.extend(check_upstream(&filter, arguments).map_err(|error| vec![error])?);
    let store = native::store(configuration.clone()).map_err(|error| vec![error])?;
    let config = native::parse(configuration).map_err(|error| vec![error])?;
    warnings.extend(check_store::look(config.store.as_ref(), &arguments.config).map_err(|error| vec![error])?);
    Ok(Checked { filter, config, store, warnings })
}

async fn load(component: &FilterComponent, arguments: &Check, warnings: &mut Vec<String>) -> anyhow::Result<(Filter, Configuration)> {
    let path = &arguments.config;
    let toml = ConfigurationFile::text(path, Accept::Anything).await?;
    // As `serve` reads what a configuration names: again and again.
    let configuration = ConfigurationFile::complete(component, path, toml, Some(DEFAULT_PORT), Accept::Files).await?;
    let readable = ConfigurationFile::readable_by_everybody(path, &configuration);
    let filter = Filter::load(component, configuration.clone(), FilterOptions::default()).await?;
    warnings.extend(filter.summary().warnings.iter().map(ToString::to_string));
    let of_audit = filter.summary().audit.iter().map(|audit| &audit.destination);
    let of_audit = of_audit.flat_map(|audit| place::obstacle(audit).into_iter().chain(place::weaknesses(audit, Asking::ToCheck)));
    let found = readable.iter().map(|file| everybody_reads(file)).chain(of_audit);
    warnings.extend(found.map(|warning| format!("{}: warning: {warning}", path.display())));
    Ok((filter, configuration))
}

/// Of a configuration that names no application: `vestibule serve` starts only if its command line does.
///
/// # Errors
/// The command line names what `vestibule serve` refuses.
fn check_upstream(filter: &Filter, arguments: &Check) -> anyhow::Result<Option<String>> {
    let summary = filter.summary();
    let (path, answers_proxies) = (arguments.config.display(), summary.authorization.is_some());
    if let Some(upstream) = &arguments.upstream {
        ensure!(!answers_proxies, "--upstream has no effect with mode = \"authz\": name the application in the proxy that asks");
        Upstream::parse(upstream, Duration::ZERO)?;
        return Ok(None);
    }
    let is_missing = summary.upstream.is_none() && !answers_proxies;
    let remedy =
        "write `upstream = \"http://127.0.0.1:8080\"` under [vestibule], or give --upstream to `vestibule serve` and to this command";
    Ok(is_missing
        .then(|| format!("{path}: warning: vestibule.upstream: no application is named, and `vestibule serve` needs one; {remedy}")))
}

/// Of the address that the file itself says to listen on; `--listen` may say another.
fn address_warning(configuration: &Configuration, arguments: &Check) -> Option<String> {
    let listen = native::loaded(configuration.clone())?.listen?;
    // Whether `serve` gets a certificate is known only if this command gets it as well.
    let listening = Listening::written(&listen, arguments.tls_cert.is_some().then_some(true))?;
    let mut on_its_port = configuration.clone();
    on_its_port.port = Some(listening.port);
    let config = native::loaded(on_its_port)?;
    let warning = public_address::warning(&config, listening)?;
    Some(format!("{}: warning: {warning}", arguments.config.display()))
}

fn check_tls(arguments: &Check, warnings: &mut Vec<String>) -> anyhow::Result<()> {
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        warnings.extend(tls::load(certificate, key)?.warning.map(|warning| format!("{}: warning: {warning}", key.display())));
    }
    Ok(())
}
