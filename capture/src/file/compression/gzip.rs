//! gzip (RFC 1952).

use std::io::{self, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::bad;
use super::source::Source;
use crate::file::Fault;
use crate::file::input::Input;

/// The members of a gzip file, one after the other (§2.2). What follows the last member is ignored unless it could be
/// another one, as gzip(1) does: tapes and block devices pad.
///
/// `flate2::bufread::MultiGzDecoder` takes such padding for a corrupt member.
pub(super) struct Gzip {
    member: Option<GzDecoder<Source>>,
}

impl Gzip {
    pub(super) fn new(compressed: Input) -> Gzip {
        Gzip { member: Some(GzDecoder::new(Source::new(compressed))) }
    }
}

impl Read for Gzip {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = match member.read(out) {
                Ok(count) => count,
                Err(error) => return Err(member.get_mut().failure().unwrap_or_else(|| bad(fault(error.kind())))),
            };
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let more = member.get_mut().peek(1)?.first() == Some(&0x1f);
            self.member = self.member.take().filter(|_| more).map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}

fn fault(kind: ErrorKind) -> Fault {
    match kind {
        ErrorKind::UnexpectedEof => Fault::CompressedCut,
        _ => Fault::CompressedCorrupt,
    }
}
