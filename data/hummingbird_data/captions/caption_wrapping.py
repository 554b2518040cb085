"""What chat models put around a caption: tags, markup, labels, lists, and talk with whoever asked."""

import re

from hummingbird_data.captions.caption_answer import Answer

_MARKUP = re.compile(
    r"[<>{}\[\]|\\`*_~^=@]|%[a-z(]|#(?!\d)|^\s*#|&#?\w+;|https?:|www\.|-{3,}|—{2,}|\bEO[ST]\b|\bEND$"
)
_QUOTE = re.compile(r"(?<!\d)\"")  # after a figure it may be inches
_NAMES = (
    r"(?:captions?|descriptions?|answer|output|response|result|summary|note|title|subjects?|action|setting"
    r"|scene|camera"
    r"|background|lighting|text|user|assistant|system|human|ai|model|thoughts?|thinking|reasoning|analysis|step"
    r"|frames?"
    r"|images?|pictures?|photos?|shots?|clips?|videos?|english|translation|prompt|question|rewrite|version|options?)"
)
_LABEL = re.compile(
    rf"^\W*(?:[\w']+[ ,!]+){{0,7}}?{_NAMES}(?: ?#?\d+)?(?: \([^)]*\))?\W{{0,3}}:|^\W*{_NAMES}(?: ?#?\d+)? ?[-–—] "
)
_ROLE = re.compile(r"[.!?]\s*(?:assistant|user|human|system|model)\b\s*:?\s*(?:$|[a-z])", re.IGNORECASE)
_LIST = re.compile(r"^\s*(?:\d{1,2}[.):]|[-–—•·+]|\(?[a-z]\))\s|(?:^|\s)1[.)]\s.*\s2[.)]\s|\s•\s")
_CLOCK = re.compile(r"^\W*\d{1,2}:\d\d\b|\b\d{1,2}:\d\d ?(?:-|–|to) ?\d{1,2}:\d\d\b")
_OPENS = re.compile(
    r"^\W*(?:(?:sure|certainly|absolutely|definitely|of course|great question|good question|okay|ok|alright"
    r"|all right|great|got it|understood|yes|no"
    r"|hmm+|well|wait|actually|hello|hi|hey|right|perfect|excellent|noted|gladly|sure thing"
    r"|no problem)\s*[,!.:;…–—-]+(?:\s|$)"
    r"|here(?:'s| is| are| you go| goes)\b|below (?:is|are)\b|the following\b|as (?:requested|instructed|asked)\b"
    r"|(?:based on|judging (?:by|from)|going by) (?:the|these|this|what|your)\b"
    r"|according to the\b|to summari[sz]e\b|in (?:summary|conclusion|short)\b"
    r"|(?:describe|summari[sz]e|caption|explain|insert|write) (?:a|an|the|this|these|what|one|in|your)\b"
    r"|(?:subscribe|click (?:here|below|the link)|follow us|check out|sign up|visit our|stay tuned)\b"
    r"|the (?:assistant|model) (?:describes|says|writes|sees|reports)\b"
    r"|let (?:me|us)\b|let's\b|thank(?:s| you)\b|(?:happy|glad) to\b|we (?:need|have|are|must|should)\b"
    r"|the (?:given|provided|supplied|requested|user|prompt|question|task|request)\b|these are\b|this is (?:a"
    r"|an|the) "
    r"(?:short |brief )?(?:video|clip|series|sequence|set|image|frame|picture|photo))"
)
_ASIDE = re.compile(
    r"(?:\b|(?=\())(?:let me know|hope (?:this|that|it) helps|feel free|would you like|is there anything"
    r"|please note|note that|\(note"
    r"|word count|\d+ words\b|word limit|captions?|i(?:'m|'ll|'ve|'d)|i (?:am|can|could|will|would|have|see"
    r"|think|believe"
    r"|was|do|don't|hope|notice|observe|need|should|must|might|may|cannot|can't|understand|know|want|prefer)"
    r"|you(?:'re|'ll|'d|r|rs|rself)?)\b"
)
_THING = (
    r"((short|first|last|second|next|final|given|provided|entire|whole|video|still|following) )?"
    r"(video|clip|footage|image|picture|frame|photo|sequence|screenshot)s?"
)
_SHOWS = (
    r"(shows?|depicts?|features?|captures?|displays?|begins?|starts?|presents?|portrays?|illustrates?"
    r"|focuses)"
)
_SAYS = r"(contains?|appears?|seems?|consists?|includes?|opens?|ends?|is|are|was|were)"
_SPEAKS = re.compile(
    rf"\b(the|this) (first |last |opening |final )?scene ((primarily|mainly|simply|also|only) )?{_SHOWS}\b"
    rf"|\b(the|this|these|those|each|a|an|all|both) {_THING} ((primarily|mainly|simply|also|only) )?{_SHOWS}\b"
    r"|\b(the|this|these|those|all|both) (given |provided |entire |whole )?(video|clip|footage|images|screenshot)s? "
    rf"{_SAYS}\b"
    r"|\bin (the|this|these|those|all|each) (video|clip|footage|image|picture|frame|sequence|screenshot)s?\b(?! of\b)"
    r"|\b(at|throughout|across|from) (the|this|these|those|all) (video|clips?|footage|images|frames|screenshots?)\b"
    rf"|^(a|an|this is an?) ((short|brief) )?{_THING} (?<!frame )(of|showing)\b|\bwe (can )?see\b"
    r"|^it (appears|seems|looks)\b|^\W*(the|this|these|those) (video|clip|footage|images|frames|screenshots?)\b"
    r"|\b(frames?|images?|clips?|panels?|screenshots?) ?#?\d+\b"
    r"|\b(first|second|third|fourth|last|final|next|previous|initial|each|every|subsequent) (few |two |three )?"
    r"(frames?|images|clips?)\b"
)


def markup(answer: Answer) -> str | None:
    """Tags, JSON, Markdown, end marks, addresses: signs that no caption has."""
    return "tags or markup" if _MARKUP.search(answer.spoken) or len(_QUOTE.findall(answer.text)) % 2 else None


def labels(answer: Answer) -> str | None:
    """Labels and lists: "Here is the caption:", "Frame 1:", "1. ... 2. ...", "0:03"."""
    text = answer.text.lower()
    found = _LABEL.search(text) or _LIST.search(text) or _CLOCK.search(text) or _ROLE.search(answer.text)
    return "a label or a list" if found else None


def chat(answer: Answer) -> str | None:
    """Talk with whoever asked: "Sure!", "I can see", "let me know", "your"."""
    return "talk around the caption" if _OPENS.search(answer.plain) or _ASIDE.search(answer.plain) else None


def speaks_of_video(answer: Answer) -> str | None:
    """Text about the video in place of what it shows."""
    return "speaks of the video" if _SPEAKS.search(answer.plain) else None
