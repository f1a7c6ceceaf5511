//! What may say where a peer is.

use weald_transports::{Address, AddressError};

/// Becomes an address: texts such as `192.0.2.7:8088`, and [`Address`] itself.
pub trait IntoAddress {
    /// Returns the address.
    ///
    /// # Errors
    /// [`AddressError`] says what is wrong with a text.
    fn into_address(self) -> Result<Address, AddressError>;
}

impl IntoAddress for Address {
    fn into_address(self) -> Result<Address, AddressError> {
        Ok(self)
    }
}

impl IntoAddress for &Address {
    fn into_address(self) -> Result<Address, AddressError> {
        Ok(self.clone())
    }
}

impl IntoAddress for &str {
    fn into_address(self) -> Result<Address, AddressError> {
        self.parse()
    }
}

impl IntoAddress for String {
    fn into_address(self) -> Result<Address, AddressError> {
        self.parse()
    }
}

impl IntoAddress for &String {
    fn into_address(self) -> Result<Address, AddressError> {
        self.parse()
    }
}
