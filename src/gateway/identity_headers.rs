//! Identity headers: what an app is told of its caller, in names that it understands (G6).
//!
//! A preset is nothing but a list of lines, each a name and a template, so that `set_headers` of the
//! configuration and the presets are one thing. The lines are rendered once per principal and app; only
//! those with words of the request itself are rendered for each request.

use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::settings::{AppSettings, Identity};
use crate::authn::Proven;
use crate::authz::InForce;
use crate::directory::{AppName, LegacyName, PersonalField, RoleSet};

/// A set of names that some family of applications expects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    #[default]
    Locum,
    Oauth2Proxy,
    Authelia,
    Authentik,
    Grafana,
    Gitea,
    Jenkins,
    RemoteUser,
    Cloudflare,
    /// None but those of `set_headers`.
    None,
}

/// One line of a preset: the header, and what it tells. One that tells nothing is not set, and still
/// kept from the client: the family's applications would read it.
type PresetLine = (&'static str, Option<Field>);

const USER: Option<Field> = Some(Field::User);
const ROLES: Option<Field> = Some(Field::Roles);
const NAME: Option<Field> = Some(Field::Name);
const EMAIL: Option<Field> = Some(Field::Email);
const UNSET: Option<Field> = None;

impl Preset {
    /// Every family there is.
    pub(super) const ALL: [Self; 10] = [
        Self::Locum,
        Self::Oauth2Proxy,
        Self::Authelia,
        Self::Authentik,
        Self::Grafana,
        Self::Gitea,
        Self::Jenkins,
        Self::RemoteUser,
        Self::Cloudflare,
        Self::None,
    ];

    /// The names that the family reads, told or only kept from clients.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.lines().iter().map(|(name, _)| *name)
    }

    const fn lines(self) -> &'static [PresetLine] {
        match self {
            Self::Locum => &[
                ("x-locum-user", USER),
                ("x-locum-name", NAME),
                ("x-locum-email", EMAIL),
                ("x-locum-roles", ROLES),
                ("x-locum-kind", Some(Field::Kind)),
                ("x-locum-owner", Some(Field::Owner)),
                ("x-locum-actor", Some(Field::Actor)),
                ("x-locum-service", Some(Field::Service)),
            ],
            Self::Oauth2Proxy => &[
                ("x-forwarded-user", USER),
                ("x-forwarded-preferred-username", USER),
                ("x-forwarded-groups", ROLES),
                ("x-forwarded-email", EMAIL),
                ("x-auth-request-user", UNSET),
                ("x-auth-request-preferred-username", UNSET),
                ("x-auth-request-groups", UNSET),
                ("x-auth-request-email", UNSET),
                ("x-auth-request-access-token", UNSET),
            ],
            Self::Authelia => {
                &[("remote-user", USER), ("remote-groups", ROLES), ("remote-name", NAME), ("remote-email", EMAIL)]
            }
            Self::Authentik => &[
                ("x-authentik-username", USER),
                ("x-authentik-groups", Some(Field::RolesByPipe)),
                ("x-authentik-entitlements", UNSET),
                ("x-authentik-email", EMAIL),
                ("x-authentik-name", NAME),
                ("x-authentik-uid", UNSET),
                ("x-authentik-jwt", UNSET),
                ("x-authentik-meta-jwks", UNSET),
                ("x-authentik-meta-outpost", UNSET),
                ("x-authentik-meta-provider", UNSET),
                ("x-authentik-meta-app", UNSET),
                ("x-authentik-meta-version", UNSET),
            ],
            Self::Grafana => &[
                ("x-webauth-user", USER),
                ("x-webauth-groups", ROLES),
                ("x-webauth-name", NAME),
                ("x-webauth-email", EMAIL),
                ("x-webauth-role", UNSET),
                ("x-jwt-assertion", UNSET),
            ],
            Self::Gitea => &[("x-webauth-user", USER), ("x-webauth-email", EMAIL), ("x-webauth-fullname", NAME)],
            Self::Jenkins => &[("x-forwarded-user", USER), ("x-forwarded-groups", Some(Field::RolesByPipe))],
            Self::RemoteUser => &[
                ("x-remote-user", USER),
                ("x-remote-group", ROLES),
                ("x-remote-groups", ROLES),
                ("remote-user", UNSET),
                ("remote_user", UNSET),
            ],
            Self::Cloudflare => &[("cf-access-authenticated-user-email", USER), ("cf-access-jwt-assertion", UNSET)],
            Self::None => &[],
        }
    }
}

/// A header that an app is given, and the template of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderLine {
    pub name: HeaderName,
    pub value: Vec<Piece>,
}

impl HeaderLine {
    /// Whether it differs from request to request.
    fn is_of_request(&self) -> bool {
        self.value.iter().any(|piece| matches!(piece, Piece::Field(Field::RequestId | Field::Port)))
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Visible ASCII and spaces.
    Literal(Box<str>),
    Field(Field),
}

/// What can be told about the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The name that the app is to see: the account's, or its owner's with `identity = "owner"`.
    User,
    /// The name, for people to read, of the person that [`Field::User`] names; nothing where that is a proxy user.
    /// Percent-encoded where it is not printable ASCII.
    Name,
    /// The email address of that person; encoded as the name is.
    Email,
    /// What that person is called in the app (U5); encoded as the name is, nothing where nobody has said so.
    LegacyName,
    /// The system's roles and the app's own, separated by commas.
    Roles,
    /// The same, separated by pipes.
    RolesByPipe,
    /// `person` or `proxy`.
    Kind,
    /// The owner of a proxy user.
    Owner,
    /// Who really acts, where that is not [`Field::User`].
    Actor,
    /// What the token is for; percent-encoded where it is not printable ASCII.
    Service,
    /// The id of the request.
    RequestId,
    /// The port that the client reached.
    Port,
}

/// What one app is told of every caller.
#[derive(Debug)]
pub(super) struct IdentityHeaders {
    app: AppName,
    identity: Identity,
    lines: Vec<HeaderLine>,
    managed: Vec<HeaderName>,
    has_request_lines: bool,
}

/// What can be told of one request, whoever asks.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub request_id: &'a str,
    /// The port that the client reached.
    pub port: u16,
}

/// Who is told of: as it was proven, and as it is known.
pub(super) type Told<'a> = (&'a Proven, &'a InForce);

/// Headers that are the same for every request of one principal.
pub(super) type Rendered = [(HeaderName, HeaderValue)];

impl IdentityHeaders {
    pub(super) fn of(app: &AppSettings) -> Self {
        let preset = app.headers.lines().iter().map(|(name, value)| HeaderLine {
            name: HeaderName::from_static(name),
            value: value.map(Piece::Field).into_iter().collect(),
        });
        let mut lines: Vec<HeaderLine> =
            preset.filter(|line| app.set_headers.iter().all(|own| own.name != line.name)).collect();
        lines.extend(app.set_headers.iter().cloned());
        let managed = lines.iter().map(|line| line.name.clone()).collect();
        lines.retain(|line| !line.value.is_empty());
        let has_request_lines = lines.iter().any(HeaderLine::is_of_request);
        Self { app: app.name().clone(), identity: app.identity, lines, managed, has_request_lines }
    }

    /// The names that nobody but the gateway may set.
    pub(super) fn managed(&self) -> &[HeaderName] {
        &self.managed
    }

    /// Whether any line has to be rendered for each request.
    pub(super) const fn has_request_lines(&self) -> bool {
        self.has_request_lines
    }

    /// What does not change from request to request.
    pub(super) fn render(&self, who: Option<Told<'_>>) -> Box<Rendered> {
        self.render_lines(who, None)
    }

    /// What differs from request to request.
    pub(super) fn render_for_request(&self, who: Option<Told<'_>>, asked: Asked<'_>) -> Box<Rendered> {
        self.render_lines(who, Some(asked))
    }

    fn render_lines(&self, who: Option<Told<'_>>, asked: Option<Asked<'_>>) -> Box<Rendered> {
        let lines = self.lines.iter().filter(|line| line.is_of_request() == asked.is_some());
        lines.filter_map(|line| Some((line.name.clone(), self.value(&line.value, who, asked)?))).collect()
    }

    /// A line that would tell of a caller has no value when there is none, and one of which nothing is
    /// known has none either: an empty header could be read as an empty name.
    fn value(&self, pieces: &[Piece], who: Option<Told<'_>>, asked: Option<Asked<'_>>) -> Option<HeaderValue> {
        let mut text = String::new();
        let (mut of_caller, mut told) = (false, false);
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Field(Field::RequestId) => text.push_str(asked?.request_id),
                Piece::Field(Field::Port) => text.push_str(&asked?.port.to_string()),
                Piece::Field(field) => {
                    of_caller = true;
                    let who = who?;
                    let before = text.len();
                    self.tell(*field, who, &mut text);
                    told |= text.len() > before;
                }
            }
        }
        if of_caller && !told {
            return None;
        }
        // Every field is printable ASCII by then; what is not would be dropped rather than sent broken.
        HeaderValue::from_str(&text).ok().filter(|value| !value.is_empty())
    }

    fn tell(&self, field: Field, (proven, in_force): Told<'_>, text: &mut String) {
        let owner = proven.owner.as_ref().map(|(_, username)| username.as_str());
        let as_owner = owner.filter(|_| self.identity == Identity::Owner);
        // What is known of the owner is told where the owner is who the app sees; a proxy user is nobody to write to.
        let person = (owner.is_none() || as_owner.is_some()).then_some(&in_force.person);
        let of_person = |field| person.and_then(|person| person.text(field)).unwrap_or_default();
        match field {
            Field::User => text.push_str(as_owner.unwrap_or(proven.username.as_str())),
            Field::Actor => text.push_str(as_owner.map_or("", |_| proven.username.as_str())),
            Field::Owner => text.push_str(owner.unwrap_or_default()),
            Field::Kind => text.push_str(proven.kind.slug()),
            Field::Service => text.extend(utf8_percent_encode(&proven.service, NOT_IN_A_HEADER)),
            Field::Name => text.extend(utf8_percent_encode(of_person(PersonalField::Name), NOT_IN_A_HEADER)),
            Field::Email => text.extend(utf8_percent_encode(of_person(PersonalField::Email), NOT_IN_A_HEADER)),
            Field::LegacyName => {
                let name = person.and_then(|_| in_force.legacy_names.get(&self.app)).map_or("", LegacyName::as_str);
                text.extend(utf8_percent_encode(name, NOT_IN_A_HEADER));
            }
            Field::Roles => self.tell_roles(&in_force.roles, ',', text),
            Field::RolesByPipe => self.tell_roles(&in_force.roles, '|', text),
            Field::RequestId | Field::Port => {}
        }
    }

    /// A role's name has neither comma nor pipe, so the list reads back as it was.
    fn tell_roles(&self, roles: &RoleSet, separator: char, text: &mut String) {
        for (at, role) in roles.roles_for(&self.app).enumerate() {
            if at > 0 {
                text.push(separator);
            }
            text.push_str(role.as_str());
        }
    }
}

/// Whatever is not printable ASCII, and the percent sign itself, so that the value reads back.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b'%');
