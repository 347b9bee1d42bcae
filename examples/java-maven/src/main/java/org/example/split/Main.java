package org.example.split;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.List;

/** {@code split SUM WEIGHT…}: one part a line. */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        if (args.length < 2) {
            System.err.println("usage: split SUM WEIGHT…");
            System.exit(2);
        }
        try {
            BigDecimal sum = new BigDecimal(args[0]);
            List<BigInteger> weights = Arrays.stream(args).skip(1).map(BigInteger::new).toList();
            for (BigDecimal part : Split.byWeights(sum, weights)) {
                String percentage = sum.signum() == 0 ? "" : "  " + Split.percentage(part, sum) + " %";
                System.out.println(part.toPlainString() + percentage);
            }
        } catch (NumberFormatException e) {
            System.err.println("split: not a number: " + e.getMessage());
            System.exit(1);
        } catch (IllegalArgumentException e) {
            System.err.println("split: " + e.getMessage());
            System.exit(1);
        }
    }
}
