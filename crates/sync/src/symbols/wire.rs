//! Symbols as they travel: sum and check as they are, the count in as few bytes as it needs.
//!
//! Invariant: symbols have one form, and how much is allocated follows from the bytes that are there.

use super::{SYMBOLS_MAX, Symbol, SymbolError};

/// The least length of a symbol, in bytes.
pub(crate) const SYMBOL_BYTES_MIN: usize = 2 * WORD_LEN + 1;
/// The greatest length of a symbol, in bytes.
pub(crate) const SYMBOL_BYTES_MAX: usize = 2 * WORD_LEN + COUNT_LEN_MAX;
const WORD_LEN: usize = 8;
/// How many bytes a count takes at most, seven bits in each.
const COUNT_LEN_MAX: usize = 10;

/// Encodes symbols, one after another.
pub(crate) fn encode(symbols: &[Symbol]) -> Vec<u8> {
    let mut out = Vec::with_capacity(symbols.len() * (SYMBOL_BYTES_MIN + 1));
    for Symbol { sum, check, count } in symbols {
        out.extend_from_slice(&sum.to_be_bytes());
        out.extend_from_slice(&check.to_be_bytes());
        put(&mut out, count.wrapping_shl(1).cast_unsigned() ^ (count >> 63).cast_unsigned());
    }
    out
}

/// Decodes what [`encode`] gives.
///
/// # Errors
/// [`SymbolError::Undecodable`]; [`SymbolError::TooMany`] over [`SYMBOLS_MAX`].
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Vec<Symbol>, SymbolError> {
    let most = bytes.len() / SYMBOL_BYTES_MIN;
    let mut symbols = Vec::with_capacity(most.min(SYMBOLS_MAX));
    while !bytes.is_empty() {
        if symbols.len() == SYMBOLS_MAX {
            return Err(SymbolError::TooMany { found: SYMBOLS_MAX + 1 });
        }
        let (sum, check) = (word(&mut bytes)?, word(&mut bytes)?);
        let folded = take(&mut bytes)?;
        let count = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        symbols.push(Symbol { sum, check, count });
    }
    Ok(symbols)
}

fn word(bytes: &mut &[u8]) -> Result<u64, SymbolError> {
    let (word, rest) = bytes.split_first_chunk().ok_or(SymbolError::Undecodable)?;
    *bytes = rest;
    Ok(u64::from_be_bytes(*word))
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        let [low, ..] = n.to_le_bytes();
        out.push(low | 0x80);
        n >>= 7;
    }
    let [low, ..] = n.to_le_bytes();
    out.push(low);
}

fn take(bytes: &mut &[u8]) -> Result<u64, SymbolError> {
    let mut n = 0;
    for at in 0..COUNT_LEN_MAX {
        let ([byte], rest) = bytes.split_first_chunk().ok_or(SymbolError::Undecodable)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if at == COUNT_LEN_MAX - 1 && part > 1 {
            break;
        }
        n |= part << (7 * at);
        if byte & 0x80 == 0 {
            let is_shortest = *byte != 0 || at == 0;
            return if is_shortest { Ok(n) } else { Err(SymbolError::Undecodable) };
        }
    }
    Err(SymbolError::Undecodable)
}
