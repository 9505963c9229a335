//! Words and bits that stand for values in the log. They never change their meaning: a version of the log that needs others
//! is another version.

use capture::flow::Speech;
use capture::{Outcome, Proof, Side, Talk, Talks};

/// `flow.opened` where nobody was seen opening.
pub(super) const UNSEEN: &str = "unseen";

/// `flow.opened` where somebody was.
pub(super) fn opened(proof: Proof) -> &'static str {
    match proof {
        Proof::Handshake => "handshake",
        Proof::HalfHandshake => "half",
        Proof::FirstPacket => "first_packet",
    }
}

/// Reads [`opened`].
pub(super) fn proof(word: &str) -> Option<Proof> {
    [Proof::Handshake, Proof::HalfHandshake, Proof::FirstPacket].into_iter().find(|proof| opened(*proof) == word)
}

/// Reads `flow.outcome`.
pub(super) fn outcome(word: &str) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|outcome| outcome.name() == word)
}

/// The protocol of each bit of `flow.talks`, from the lowest; new ones come last.
const TALKS: [Talk; 23] = [
    Talk::Amqp,
    Talk::Cassandra,
    Talk::Ftp,
    Talk::Http,
    Talk::Http2,
    Talk::Imap,
    Talk::Kafka,
    Talk::Ldap,
    Talk::Memcached,
    Talk::Mqtt,
    Talk::MySql,
    Talk::Nats,
    Talk::Pop3,
    Talk::PostgreSql,
    Talk::PostgreSqlSslRequest,
    Talk::Redis,
    Talk::Smb,
    Talk::Smtp,
    Talk::SmtpOrFtp,
    Talk::Ssh,
    Talk::Telnet,
    Talk::Tls,
    Talk::Vnc,
];

pub(super) fn talk_bits(talks: Talks) -> i64 {
    let set = TALKS.iter().enumerate().filter(|(_, talk)| talks.contains(**talk));
    set.fold(0, |bits, (bit, _)| bits | 1 << bit)
}

/// `None` where a bit has no meaning.
pub(super) fn talks(bits: i64) -> Option<Talks> {
    let all = TALKS.iter().enumerate().filter(|(bit, _)| bits & 1 << bit != 0).map(|(_, talk)| *talk);
    (bits >> TALKS.len() == 0).then(|| all.collect())
}

pub(super) fn speech_bits(sides: &[Side; 2]) -> i64 {
    let bits = |speech: Speech| i64::from(speech.request) | i64::from(speech.response) << 1;
    bits(sides[0].speech) | bits(sides[1].speech) << 2
}

/// Of the lower and the higher side; `None` where a bit has no meaning.
pub(super) fn speech(bits: i64) -> Option<[Speech; 2]> {
    let of = |bits: i64| Speech { request: bits & 1 != 0, response: bits & 2 != 0 };
    (0..16).contains(&bits).then(|| [of(bits), of(bits >> 2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_a_bit_of_its_own() {
        for talk in Talk::ALL {
            let bits = talk_bits([talk].into_iter().collect());
            assert_eq!(bits.count_ones(), 1, "{talk}");
            assert_eq!(talks(bits).unwrap().iter().collect::<Vec<_>>(), [talk]);
        }
        assert_eq!(talks(1 << TALKS.len()), None);
        assert_eq!(talks(-1), None);
    }
}
