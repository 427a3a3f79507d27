"""Our steps in an XMP packet: read, and appended without touching another byte of it.

A packet (ISO 16684-1) is RDF/XML. What this program did to a picture is one ordered array in it, in a namespace of
our own; each item is a structure whose fields are texts:

    <restore:Steps><rdf:Seq>
      <rdf:li restore:task="denoise" restore:version="0.1.0" .../>
    </rdf:Seq></restore:Steps>

Reading goes by namespace, not by prefix, and takes the other ways in which RDF writes the same (fields as elements,
or in a Description of their own), because other programs write packets anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

__all__ = ["NAMESPACE", "append_step", "read_steps"]

NAMESPACE = "https://pypi.org/project/restore-cli/ns/1.0/"
"""Says which properties are ours; registered in every packet we write, as `restore`."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ROOT, _DESCRIPTION, _ARRAY, _ITEM, _ABOUT = (f"{_RDF} {name}" for name in ("RDF", "Description", "Seq", "li", "about"))
_STEPS = f"{NAMESPACE} Steps"
_DECLARED = f'xmlns:rdf="{_RDF}" xmlns:restore="{NAMESPACE}"'
_FIELD = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_NEW_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta>\n'
    '<?xpacket end="w"?>'
).encode()


def read_steps(packet: bytes) -> list[dict[str, str]]:
    """The fields of each step the packet tells of, the oldest first; none where it is no packet at all."""
    found = _parse(packet)
    return found.steps if found else []


def append_step(packet: bytes | None, fields: Mapping[str, str]) -> bytes:
    """The packet with one more step at the end; all it held is still there, byte for byte.

    Args:
        packet: UTF-8; None for a new one.
        fields: by XML name; of characters that XML can hold.

    Returns:
        The new packet; the old one unchanged if it is damaged, or no RDF, so that there is no place in it.
    """
    packet = packet or _NEW_PACKET
    found = _parse(packet)
    if found is None or found.root_end is None:
        return packet
    item = f"<rdf:li {_DECLARED} {_attributes(fields)}/>"
    if found.steps_end is not None:
        place = found.steps_end
    else:
        about = f"rdf:about={quoteattr(found.about)}"
        item = (
            f"<rdf:Description {_DECLARED} {about}><restore:Steps><rdf:Seq>{item}</rdf:Seq>"
            "</restore:Steps></rdf:Description>\n"
        )
        place = found.root_end
    longer = packet[:place] + item.encode() + packet[place:]
    # Asked rather than assumed: a packet in UTF-16, say, parses but does not take UTF-8 in its middle.
    return longer if read_steps(longer) == [*found.steps, dict(fields)] else packet


def _attributes(fields: Mapping[str, str]) -> str:
    for name in fields:
        if not _FIELD.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a field")
    return " ".join(f"restore:{name}={_quoted(text)}" for name, text in fields.items())


def _quoted(text: str) -> str:
    # Line breaks and tabs would come back as spaces.
    return quoteattr(text, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


class _Refused(Exception):  # noqa: N818 - not an error, an answer
    """The packet declares entities, which XMP forbids and which can grow without end."""


class _Found:
    """What is in a packet, and the places (byte offsets) where more goes.

    Attributes:
        about: what its descriptions are about; one word for all, by the standard.
        root_end: of the end tag of rdf:RDF; None where there is none.
        steps_end: of the end tag of our array; None where there is none.
        steps: the fields of each.
    """

    def __init__(self, packet: bytes) -> None:
        """Raises ExpatError where it is not well-formed, _Refused where it declares entities."""
        self.about = ""
        self.root_end: int | None = None
        self.steps_end: int | None = None
        self.steps: list[dict[str, str]] = []
        self._packet = packet
        self._open: list[tuple[str, int]] = []  # names of the elements around, and where each starts
        self._text: list[str] = []
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.Parse(packet.rstrip(b"\0"), True)  # TIFF's tag may be filled up with these

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == _DESCRIPTION and self._is_in(_ROOT):
            self.about = self.about or attributes.get(_ABOUT, "")
        if name == _ITEM and self._is_in(_STEPS, _ARRAY):
            self.steps.append({})
        self._open.append((name, self._parser.CurrentByteIndex))
        self._text.clear()
        if self._is_in_step():
            self.steps[-1].update(
                {own: text for each, text in attributes.items() if (own := _own_name(each)) is not None}
            )

    def _end(self, name: str) -> None:
        _, started = self._open.pop()
        if name == _ROOT:
            self.root_end = self._end_tag(started)
        elif name == _ARRAY and self._is_in(_STEPS):
            self.steps_end = self._end_tag(started)
        elif self._is_in_step() and (own := _own_name(name)) is not None:
            self.steps[-1][own] = "".join(self._text)

    def _is_in(self, *names: str) -> bool:
        """Whether these are the innermost elements."""
        return tuple(name for name, _ in self._open[-len(names) :]) == names

    def _is_in_step(self) -> bool:
        names = [name for name, _ in self._open]
        return _STEPS in names and _ITEM in names[names.index(_STEPS) :]

    def _end_tag(self, started: int) -> int | None:
        """Where the end tag begins of the element that ends here; None for <an empty one/>."""
        tag = re.match(rb"<([^\s/>]+)", self._packet[started:])
        here = self._parser.CurrentByteIndex
        return here if tag and self._packet.startswith(b"</" + tag[1], here) else None

    @staticmethod
    def _refuse(*_: object) -> None:
        raise _Refused


def _parse(packet: bytes) -> _Found | None:
    """None where it is not what XMP allows."""
    try:
        return _Found(packet)
    except (expat.ExpatError, _Refused):
        return None


def _own_name(name: str) -> str | None:
    prefix = f"{NAMESPACE} "
    return name.removeprefix(prefix) if name.startswith(prefix) else None
