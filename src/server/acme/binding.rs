//! Whose customer the gate is: an authority that does not sign for everybody gives a key by which the gate's account is bound to
//! that of who pays (external account binding, RFC 8555 §7.3.4).

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use instant_acme::ExternalAccountKey;
use zeroize::Zeroizing;

use super::AcmeError;
use crate::config::settings::ExternalBinding;
use crate::server::tls::files;

/// Authorities give it without padding, tools that hand it on sometimes with.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// A shorter one is a mistake in copying: authorities give 32 bytes and more.
const SHORTEST: usize = 16;

/// Purposefully not `Debug`: it holds the key.
pub(super) struct Binding {
    key_id: String,
    mac_key: Zeroizing<Vec<u8>>,
}

impl Binding {
    pub(super) fn read(settings: &ExternalBinding) -> Result<Self, AcmeError> {
        let text = files::private(&settings.mac_key)?;
        let mac_key = BASE64URL.decode(text.trim()).map(Zeroizing::new).ok().filter(|key| key.len() >= SHORTEST);
        let mac_key = mac_key.ok_or_else(|| AcmeError::NoBindingKey(settings.mac_key.clone()))?;
        Ok(Self { key_id: settings.key_id.clone(), mac_key })
    }

    pub(super) fn key(&self) -> ExternalAccountKey {
        ExternalAccountKey::new(self.key_id.clone(), &self.mac_key)
    }
}
