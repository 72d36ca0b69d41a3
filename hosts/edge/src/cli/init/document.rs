//! The file that `vestibule init` writes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};
use url::{Host, Url};
use vestibule::config::is_hosted_domain;

use crate::cli::init::answers::{Answers, ClientSecret, Who};
use crate::cli::init::arguments::App;
use crate::cli::init::provider::{Kind, metadata_url};
use crate::cli::serve::DEFAULT_PORT;
use crate::configuration::public_address::names_this_machine;

/// The text. A library writes every value, whatever characters it has.
///
/// # Errors
/// The provider's tokens have no groups, and no claim is named.
pub(super) fn document(answers: &Answers, cookie_secret: &str) -> Result<String, String> {
    let mut document = DocumentMut::new();
    document
        .decor_mut()
        .set_prefix("# The login in front of the application. It holds secrets: only the user that runs Vestibule reads it.\n\n");
    let groups = groups(answers)?;
    document.insert("auth", Item::Table(auth(answers, cookie_secret, groups.as_ref())));

    let mut vestibule = Table::new();
    if answers.app == App::Streamlit {
        vestibule.insert("app", value("streamlit"));
    }
    vestibule.insert("upstream", value(&answers.upstream));
    comment(&mut vestibule, "upstream", "The application. It must be reachable through Vestibule only.");
    if let Some(listen) = listen(&answers.redirect_uri) {
        vestibule.insert("listen", value(listen));
        comment(&mut vestibule, "listen", "Where Vestibule listens: the address of redirect_uri.");
    }
    let mut tables = Table::new();
    tables.set_implicit(true);
    if let Some(groups) = &groups {
        let mut identity = Table::new();
        identity.insert("groups_claim", value(&groups.claim));
        if let Some(shape) = groups.shape {
            identity.insert("groups_shape", value(shape));
        }
        if groups.claim != "groups" {
            vestibule.insert("identity", Item::Table(identity));
        }
    }
    if let Some(provider) = provider(answers) {
        tables.insert("default", Item::Table(provider));
        vestibule.insert("provider", Item::Table(tables));
    }
    vestibule.insert("rule", Item::ArrayOfTables(rules(answers)));
    vestibule.decor_mut().set_prefix("\n");
    document.insert("vestibule", Item::Table(vestibule));
    Ok(document.to_string())
}

/// The address to listen on, if the redirect URI is one of this machine and `vestibule serve` would listen elsewhere. With https, what
/// ends TLS can have another port.
fn listen(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok().filter(|url| url.scheme() == "http" && names_this_machine(url))?;
    let address = match url.host()? {
        Host::Domain(_) => Ipv4Addr::LOCALHOST.into(),
        Host::Ipv4(address) => IpAddr::from(address),
        Host::Ipv6(address) => address.into(),
    };
    let listen = SocketAddr::new(address, url.port_or_known_default()?);
    (listen != SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))).then(|| listen.to_string())
}

/// The claim with the groups that are asked for.
struct GroupsClaim {
    claim: String,
    shape: Option<&'static str>,
    scope: Option<&'static str>,
}

fn groups(answers: &Answers) -> Result<Option<GroupsClaim>, String> {
    let Who::Group { claim, .. } = &answers.who else { return Ok(None) };
    let client = &answers.client;
    match (claim, client.kind.groups(&client.issuer)) {
        (Some(claim), _) => Ok(Some(GroupsClaim { claim: claim.clone(), shape: None, scope: None })),
        (None, Some(groups)) => Ok(Some(GroupsClaim { claim: groups.claim.to_owned(), shape: groups.shape, scope: groups.scope })),
        (None, None) => {
            let title = client.kind.title();
            Err(format!(
                "tokens of {title} have no groups; name the claim that you have made for them with --groups-claim, or admit a domain or addresses"
            ))
        }
    }
}

fn auth(answers: &Answers, cookie_secret: &str, groups: Option<&GroupsClaim>) -> Table {
    let client = &answers.client;
    let mut auth = Table::new();
    auth.insert("redirect_uri", value(&answers.redirect_uri));
    comment(&mut auth, "redirect_uri", "The provider must know this address.");
    auth.insert("cookie_secret", value(cookie_secret));
    comment(&mut auth, "cookie_secret", "It seals the cookies: anyone who knows it can log in as any user.");
    auth.insert("client_id", value(&client.id));
    match &client.secret {
        ClientSecret::Written(secret) => auth.insert("client_secret", value(secret)),
        ClientSecret::Environment(name) => auth.insert("client_secret_env", value(name)),
        ClientSecret::File(path) => auth.insert("client_secret_file", value(path)),
    };
    auth.insert("server_metadata_url", value(metadata_url(&client.issuer)));
    let scope = groups.and_then(|groups| groups.scope).map(|scope| ("scope", format!("openid email profile {scope}")));
    // A Google account that anybody made for themselves can have an address of the domain as well. Google's own domains are of no
    // organisation: the core refuses them in the rule.
    let organisation = match &answers.who {
        Who::EmailDomain(domains) if client.kind == Kind::Google => match domains.as_slice() {
            [one] if is_hosted_domain(one) => Some(one),
            _ => None,
        },
        _ => None,
    };
    let parameters = InlineTable::from_iter(scope.into_iter().chain(organisation.map(|domain| ("hd", domain.clone()))));
    if !parameters.is_empty() {
        auth.insert("client_kwargs", value(parameters));
    }
    auth
}

/// What the provider needs beside `[auth]`.
fn provider(answers: &Answers) -> Option<Table> {
    let client = &answers.client;
    let mut provider = Table::new();
    if let Some(project) = &client.project {
        provider.insert("audiences", value(Array::from_iter([project])));
    }
    if let Some(url) = &client.logout_url {
        provider.insert("logout_url", value(url));
        comment(&mut provider, "logout_url", "The logout page of the user pool.");
    }
    if client.kind.needs_userinfo() {
        provider.insert("userinfo", value(true));
        comment(&mut provider, "userinfo", "The ID token does not have every claim.");
    }
    if client.kind.has_unstated_addresses() && matches!(answers.who, Who::Email(_) | Who::EmailDomain(_)) {
        provider.insert("trust_email", value(true));
        comment(&mut provider, "trust_email", "Tokens do not state whether an address is verified: the tenant's administrators set it.");
    }
    (!provider.is_empty()).then_some(provider)
}

fn rules(answers: &Answers) -> ArrayOfTables {
    let mut rule = Table::new();
    let one_or_list = |values: &[String]| match values {
        [one] => toml_edit::Value::from(one),
        values => Array::from_iter(values).into(),
    };
    let require = match &answers.who {
        Who::EmailDomain(domains) => Some(("email_domain", domains)),
        Who::Email(addresses) => Some(("email", addresses)),
        Who::Group { names, .. } => Some(("groups", names)),
        Who::Everybody => None,
    };
    match require {
        Some((key, values)) => rule.insert("require", value(InlineTable::from_iter([(key, one_or_list(values))]))),
        None => rule.insert("access", value("required")),
    };
    rule.decor_mut().set_prefix("\n# Who may enter. The first rule that fits a request decides; a request that no rule fits is denied.\n");
    ArrayOfTables::from_iter([rule])
}

fn comment(table: &mut Table, key: &str, text: &str) {
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix(format!("# {text}\n"));
    }
}

#[cfg(test)]
mod tests;
