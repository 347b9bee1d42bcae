<?php

declare(strict_types=1);

namespace Example;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/../src/Slug.php';

final class SlugTest extends TestCase
{
    /** @return array<string, array{string, string}> */
    public static function titles(): array
    {
        return [
            'words' => ['Hello, World!', 'hello-world'],
            'letters of other alphabets' => ['Über die Brücke', 'ueber-die-bruecke'],
            'blanks around' => ["  a \t b  ", 'a-b'],
            'digits' => ['PHP 8.4', 'php-8-4'],
        ];
    }

    #[DataProvider('titles')]
    public function testOfATitle(string $title, string $slug): void
    {
        self::assertSame($slug, Slug::of($title));
    }

    public function testTakenOnesAreNumbered(): void
    {
        self::assertSame('a-3', Slug::of('A', ['a', 'a-2']));
        self::assertSame('b', Slug::of('B', ['a']));
    }

    public function testNothingIsNoSlug(): void
    {
        $this->expectException(\InvalidArgumentException::class);
        Slug::of('…');
    }
}
