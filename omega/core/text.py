"""Text in front of the embedder: what is said of a title and of a context, and the WordPiece tokens of it.

The wording is part of every space id (`TEMPLATE_VERSION`): change a phrase and no vector compares with an older one.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from omega.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TEMPLATE_VERSION = 1
MAX_TOKENS = 256
"""The longest input of the model, [CLS] and [SEP] included."""
MAX_CHARACTERS = 10_000
"""Text beyond this is cut before it is tokenized; 256 tokens never reach so far in real text."""
_MAX_WORD_CHARACTERS = 100


def title_text(name: str, kind: str, genres: Sequence[str]) -> str:
    """Return what is embedded for a title: `Heat. crime, drama, thriller movie`."""
    described = f"{', '.join(genres)} {kind}".strip()
    return f"{name}. {described}"


def context_text(time: str, day: str, mood: str | None = None) -> str:
    """Return what is embedded for a viewing context: `something relaxed to watch on a weekday evening`."""
    return f"something {mood + ' ' if mood else ''}to watch on a {day} {time}"


GENRE_MOODS = {
    "action": "explosive, fast, loud, exciting",
    "adventure": "exciting, epic, thrilling",
    "animation": "playful, colorful, for the kids",
    "biography": "inspiring, thoughtful, true",
    "comedy": "funny, light, cheerful, feel-good",
    "crime": "gritty, dark, tense",
    "drama": "serious, moving, thoughtful",
    "family": "cozy, warm, for the kids, easy",
    "fantasy": "magical, dreamy, epic",
    "history": "serious, informative",
    "horror": "scary, creepy, disturbing, tense",
    "music": "joyful, relaxed, upbeat",
    "mystery": "puzzling, dark, clever",
    "nature": "calm, relaxing, peaceful, quiet",
    "reality": "light, casual, easy",
    "romance": "romantic, tender, feel-good",
    "sci-fi": "futuristic, mind-bending, weird",
    "science": "curious, smart, informative",
    "sport": "motivating, energetic",
    "thriller": "tense, nervous, gripping",
    "war": "grim, brutal, sad",
    "western": "rugged, lonely, violent",
}
"""How the well-known genres feel: what a mood is compared with. A genre that isn't here stands for itself."""


def genre_text(genre: str) -> str:
    """Return what is embedded for a genre: `something calm, relaxing, peaceful, quiet to watch: nature`."""
    return f"something {GENRE_MOODS.get(genre, genre)} to watch: {genre}"


def is_plain(text: str) -> bool:
    """Say whether `text` holds no control characters; the blanks and joiners that some scripts need are none."""
    return all(c.isprintable() or c in "\u200c\u200d" or unicodedata.category(c) == "Zs" for c in text)


class WordPiece:
    """The uncased WordPiece tokenizer of BERT (Devlin et al., 2019), from a vocabulary and nothing else.

    Gives the same ids as the `tokenizers` package with BERT's normalizer and pre-tokenizer, for every character that
    both Unicode tables know. As there, `[CLS]` standing in a text becomes that very token.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """`vocabulary` holds one token a line, its index is its id; [UNK], [CLS] and [SEP] MUST be in it."""
        self._ids: Mapping[str, int] = {token: i for i, token in enumerate(vocabulary)}
        try:
            self.unk, self.cls, self.sep = (self._ids[t] for t in ("[UNK]", "[CLS]", "[SEP]"))
        except KeyError as error:
            raise ModelError(
                f"vocabulary of {len(vocabulary)} tokens lacks {error}: take the model's own vocab.txt"
            ) from error
        self._specials = {t: self._ids[t] for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if t in self._ids}
        self._word_ids = lru_cache(maxsize=16_384)(self._split_word)

    @classmethod
    def from_file(cls, path: Path) -> WordPiece:
        """Read vocab.txt (UTF-8, one token a line)."""
        try:
            return cls(path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path.name} can't be read ({error}): export the model again") from error

    def __len__(self) -> int:
        """Return the number of tokens in the vocabulary."""
        return len(self._ids)

    def encode(self, text: str, max_tokens: int = MAX_TOKENS) -> list[int]:
        """Return the token ids of `text` with [CLS] first and [SEP] last, at most `max_tokens` of them."""
        ids = [self.cls]
        for piece, special in self._pieces(text[:MAX_CHARACTERS]):
            if special is not None:
                ids.append(special)
            else:
                for word in _words(piece):
                    ids.extend(self._word_ids(word))
            if len(ids) >= max_tokens:
                break
        return [*ids[: max_tokens - 1], self.sep]

    def _pieces(self, text: str) -> Iterator[tuple[str, int | None]]:
        """Cut `text` at special tokens that stand in it exactly; give (text, None) or (token, its id)."""
        if "[" not in text:
            yield text, None
            return
        start = at = 0
        while (at := text.find("[", at)) >= 0:
            found = next((t for t in self._specials if text.startswith(t, at)), None)
            if found is None:
                at += 1
                continue
            yield text[start:at], None
            yield found, self._specials[found]
            start = at = at + len(found)
        yield text[start:], None

    def _split_word(self, word: str) -> tuple[int, ...]:
        """Greedy longest match first; a word with any unknown part is one [UNK]."""
        if len(word) > _MAX_WORD_CHARACTERS:
            return (self.unk,)
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            end = len(word)
            while end > start and (found := self._ids.get(prefix + word[start:end])) is None:
                end -= 1
            if end == start or found is None:
                return (self.unk,)
            ids.append(found)
            start = end
        return tuple(ids)


def _words(text: str) -> Iterator[str]:
    """Clean, lowercase and strip accents, then split at white space and around every punctuation mark."""
    if not text.isascii():
        text = unicodedata.normalize("NFD", "".join(map(_cleaned, text)))
        text = "".join(c for c in text if unicodedata.category(c) != "Mn")
        # Python would make a final sigma of it at a word's end; BERT lowers character by character.
        text = text.replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")
    else:
        text = text.translate(_ASCII_CONTROLS)
    for run in text.lower().split():
        if run.isalnum():
            yield run
        else:
            yield from _split_punctuation(run)


_ASCII_CONTROLS = {c: None for c in (*range(32), 127) if chr(c) not in "\t\n\r"}


@lru_cache(maxsize=4096)
def _cleaned(char: str) -> str:
    """Return what stands for one character after cleaning: nothing, itself, or itself between blanks."""
    if char in "\t\n\r":
        return " "
    if char in "\0\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co"):
        return ""
    return f" {char} " if _is_chinese(ord(char)) else char


def _is_chinese(point: int) -> bool:
    """Say whether the code point is a word by itself; the ranges are those of `tokenizers`, gap at 0x2B820 included."""
    return (
        0x4E00 <= point <= 0x9FFF
        or 0x3400 <= point <= 0x4DBF
        or 0x20000 <= point <= 0x2A6DF
        or 0x2A700 <= point <= 0x2B81F
        or 0x2B920 <= point <= 0x2CEAF
        or 0xF900 <= point <= 0xFAFF
        or 0x2F800 <= point <= 0x2FA1F
    )


def _split_punctuation(run: str) -> Iterator[str]:
    """Give the words and the single punctuation marks of a run without white space."""
    start = 0
    for at, char in enumerate(run):
        if _is_punctuation(char):
            if at > start:
                yield run[start:at]
            yield char
            start = at + 1
    if start < len(run):
        yield run[start:]


@lru_cache(maxsize=4096)
def _is_punctuation(char: str) -> bool:
    """Say whether BERT splits at the character: ASCII signs count as punctuation, currency and arrows too."""
    return (char.isascii() and not char.isalnum() and char > " ") or unicodedata.category(char)[0] == "P"
