//! Which partition a stream belongs to: murmur2 as Apache Kafka's JVM producers compute it, so
//! that a tool in any language that hashes the key agrees with the store.
//!
//! Source: `org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`.

/// The hash of the JVM producer's default partitioner.
#[must_use]
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SHIFT: u32 = 24;

    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(MULTIPLIER);
        k ^= k >> SHIFT;
        k = k.wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= hash >> 15;
    hash.cast_signed()
}

/// The partition of a stream among `partitions` (at least 1), from 0.
#[must_use]
pub fn partition_for(stream_id: &str, partitions: i32) -> i32 {
    (murmur2(stream_id.as_bytes()) & i32::MAX) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_lands_in_the_partition_that_a_jvm_producer_picks() {
        let golden = include_str!("../tests/murmur2_golden.csv");
        let mut checked = 0;
        for line in golden.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let key: Vec<u8> = (0..cells[0].len() / 2)
                .map(|i| u8::from_str_radix(&cells[0][2 * i..2 * i + 2], 16).unwrap())
                .collect();
            assert_eq!(murmur2(&key), cells[1].parse::<i32>().unwrap(), "{line}");
            let text = String::from_utf8(key).unwrap();
            for (column, partitions) in [(2, 8), (3, 12), (4, 100)] {
                let expected = cells[column].parse::<i32>().unwrap();
                assert_eq!(partition_for(&text, partitions), expected, "{line}");
            }
            checked += 1;
        }
        assert!(checked > 100, "the golden file was read: {checked} keys");
    }
}
