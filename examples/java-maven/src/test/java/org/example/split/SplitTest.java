package org.example.split;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SplitTest {
    private static List<BigDecimal> split(String sum, String weights) {
        return Split.byWeights(
                new BigDecimal(sum),
                Arrays.stream(weights.split(" ")).map(BigInteger::new).toList());
    }

    private static List<BigDecimal> amounts(String texts) {
        return Arrays.stream(texts.split(" ")).map(BigDecimal::new).toList();
    }

    @ParameterizedTest(name = "{0} by {1} is {2}")
    @CsvSource({
        "100.00, 1 1 1,    33.34 33.33 33.33",
        "100.00, 1 1,      50.00 50.00",
        "0.05,   1 1 1,    0.02 0.02 0.01",
        "10.00,  3 0 7,    3.00 0.00 7.00",
        "-0.01,  1 1,      -0.01 0.00",
        "7,      1 1,      4 3",
        "0.00,   5 5,      0.00 0.00",
    })
    void knownSplits(String sum, String weights, String expected) {
        assertEquals(amounts(expected), split(sum, weights));
    }

    @Test
    @DisplayName("whatever the weights, the parts add up to the sum")
    void nothingIsLost() {
        Random random = new Random(20_000);
        for (int round = 0; round < 5_000; round++) {
            BigDecimal sum = BigDecimal.valueOf(random.nextLong(), 2);
            List<BigInteger> weights = random.longs(1 + random.nextInt(20), 1, 1_000_000)
                    .mapToObj(BigInteger::valueOf)
                    .toList();
            BigDecimal together = Split.byWeights(sum, weights).stream().reduce(BigDecimal.ZERO, BigDecimal::add);
            assertEquals(sum, together.setScale(2));
        }
    }

    @Test
    void weightsThatCannotBe() {
        assertEquals(
                "a weight is negative",
                assertThrows(IllegalArgumentException.class, () -> split("1.00", "2 -1")).getMessage());
        assertEquals(
                "no weight is above zero",
                assertThrows(IllegalArgumentException.class, () -> split("1.00", "0 0")).getMessage());
    }

    @Test
    void percentages() {
        assertEquals(new BigDecimal("33.3"), Split.percentage(new BigDecimal("33.34"), new BigDecimal("100.00")));
    }
}
