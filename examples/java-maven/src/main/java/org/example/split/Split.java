package org.example.split;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Splits a sum by weights, so that the parts are exactly the sum (largest remainder method). */
public final class Split {
    private Split() {}

    /**
     * @param sum the sum; its scale is the smallest unit that is given out
     * @param weights one for each part, none negative, not all zero
     * @return one part for each weight, in their order; the parts add up to the sum
     * @throws IllegalArgumentException if the weights are not as said
     */
    public static List<BigDecimal> byWeights(BigDecimal sum, List<BigInteger> weights) {
        BigInteger total = weights.stream().reduce(BigInteger.ZERO, BigInteger::add);
        if (weights.stream().anyMatch(weight -> weight.signum() < 0)) {
            throw new IllegalArgumentException("a weight is negative");
        }
        if (total.signum() == 0) {
            throw new IllegalArgumentException("no weight is above zero");
        }

        BigInteger units = sum.unscaledValue().abs();
        List<BigInteger> parts = new ArrayList<>();
        List<BigInteger> remainders = new ArrayList<>();
        for (BigInteger weight : weights) {
            BigInteger[] exact = units.multiply(weight).divideAndRemainder(total);
            parts.add(exact[0]);
            remainders.add(exact[1]);
        }

        // What is left is less than one unit a part: it goes to those that rounding down cost most, the first first.
        int left = units.subtract(parts.stream().reduce(BigInteger.ZERO, BigInteger::add)).intValueExact();
        IntStream.range(0, parts.size())
                .boxed()
                .sorted(Comparator.comparing((Integer i) -> remainders.get(i)).reversed())
                .limit(left)
                .forEach(i -> parts.set(i, parts.get(i).add(BigInteger.ONE)));

        return parts.stream()
                .map(part -> sum.signum() < 0 ? part.negate() : part)
                .map(part -> new BigDecimal(part, sum.scale()))
                .toList();
    }

    /** Percentage of the sum that a part is, with one digit. */
    public static BigDecimal percentage(BigDecimal part, BigDecimal sum) {
        return part.movePointRight(2).divide(sum, 1, RoundingMode.HALF_EVEN);
    }
}
