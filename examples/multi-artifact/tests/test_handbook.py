import pathlib
import tempfile
import unittest

from tools import index, links, markup, render


class Markup(unittest.TestCase):
    def test_blocks(self):
        self.assertEqual(
            markup.body("# A b\n\none\ntwo\n\n- x\n- y\n"),
            '<h1 id="a-b">A b</h1>\n<p>one two</p>\n<ul>\n<li>x</li>\n<li>y</li>\n</ul>',
        )

    def test_inline(self):
        self.assertEqual(
            markup.inline("*so* `a<b` [here](x.html)"),
            '<em>so</em> <code>a&lt;b</code> <a href="x.html">here</a>',
        )

    def test_text_is_not_html(self):
        self.assertEqual(markup.inline("<script>&"), "&lt;script&gt;&amp;")
        self.assertNotIn('"onclick', markup.inline('[x](y"onclick=z)'))


class Rendering(unittest.TestCase):
    def test_cache_name_depends_on_page_and_site(self):
        names = {render.cache_name(text, site) for text in ("a", "b") for site in ("s", "t")}
        self.assertEqual(len(names), 4)


class Site(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def page(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def test_broken_links_are_found(self):
        self.page("a.html", '<a href="sub/b.html#top">1</a><a href="c.html">2</a><a href="#none">3</a>')
        self.page("sub/b.html", '<h1 id="top">B</h1><a href="../a.html">4</a>')
        self.assertEqual(
            [outcome.failure for outcome in links.check(self.root)],
            [None, "no page c.html", "no heading none in this page", None],
        )

    def test_index(self):
        self.page("a.txt", "Fog horn")
        self.page("sub/b.txt", "fog")
        self.assertEqual(index.index(self.root), {"fog": ["a.html", "sub/b.html"], "horn": ["a.html"]})
