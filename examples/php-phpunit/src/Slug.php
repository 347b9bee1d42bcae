<?php

declare(strict_types=1);

namespace Example;

/** Titles as parts of an address. */
final class Slug
{
    private const LETTERS = ['ä' => 'ae', 'ö' => 'oe', 'ü' => 'ue', 'ß' => 'ss', 'é' => 'e', 'è' => 'e', 'ñ' => 'n', 'ç' => 'c'];

    /** @param list<string> $taken those that are used already */
    public static function of(string $title, array $taken = []): string
    {
        $text = strtr(mb_strtolower($title), self::LETTERS);
        $slug = trim((string) preg_replace('/[^a-z0-9]+/', '-', $text), '-');
        if ($slug === '') {
            throw new \InvalidArgumentException("nothing of \"$title\" can stand in an address");
        }
        $free = $slug;
        for ($number = 2; in_array($free, $taken, true); $number++) {
            $free = "$slug-$number";
        }
        return $free;
    }
}
