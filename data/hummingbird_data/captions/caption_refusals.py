"""Answers that say, in whatever words, that there is no caption."""

import re

from hummingbird_data.captions.caption_answer import Answer

_TELL = (
    r"(?:descri\w+|caption\w*|summari[sz]\w*|determin\w+|discern\w*|interpret\w*|ascertain\w*|generat\w+"
    r"|conclude|infer\w*|tell (?:what|who|where|how|if|whether|anything|much)"
    r"|say (?:what|who|where|how|if|whether|anything|much|for|with)|make out|made out|make sense"
    r"|be (?:certain|sure|seen|shown|displayed|loaded|played|processed|provided|produced)"
    r"|identif\w+|recogni[sz]\w+|comply|assist (?:with|you)|help (?:with|you)|fulfil\w*|work with|go on)"
)
# What a person in a picture may not do either: it counts where a sentence begins with it.
_DO = (
    r"(?:view|watch|access|process|provide|produce|complete|answer|comment|respond|see|analy[sz]\w+|information|details?"
    r"|context|content|clues)"
)
_UNABLE = (
    r"(?:unable to|not able to|not (?:really )?possible|isn't possible|impossible"
    r"|not (?:permitted|allowed|authori[sz]ed) to|cannot|can not|can't|could not|couldn't|won't|will not|must not"
    r"|refuse[sd]? to|must decline|declin(?:e|es|ed|ing) to|fail(?:s|ed)? to|failure to"
    r"|(?:hard|difficult|tough|challenging) to|not (?:clear|certain|sure|known|enough|sufficient)"
    r"|\w+n't (?:clear|enough|sufficient|possible|know)|unclear|insufficient"
    r"|too [\w-]+(?: (?:or|and) (?:too )?[\w-]+)? (?:for|to)|without enough)"
)
_NOBODY = r"(?:i|we|one|it|there|the assistant|this|that)"
_THINGS = r"(?:images?|pictures?|photos?|frames?|videos?|footage|clip|visuals?|input|media|picture quality)"
_REFUSALS = re.compile(
    "|".join(
        (
            rf"\b{_UNABLE}\b[^.;!?]{{0,40}}?\b{_TELL}\b",
            rf"(?:^\W*|[.!?;] )(?:{_NOBODY}(?:'s| is| are| am| was| were)? )?{_UNABLE}\b[^.;!?]{{0,40}}?\b{_DO}\b",
            r"\b(?:do not|don't|does not|doesn't|lacks?|lacking) (?:[\w-]+ ){0,3}?(?:information|details?|context"
            r"|anything|ability|access|content|clues|recogni[sz]able|identifiable)\b",
            r"\b(?:sorry|apolog(?:y|ies|i[sz]e[sd]?)|unfortunately|regrettably|regret to)\b",
            r"\bas an? (?:ai|(?:large |vision )?language model|assistant)\b"
            r"|^\W*as an? (?:large|trained) [\w-]*\s?model\b|\b(?:language|ai) model\b|\bai assistant\b",
            r"\b(?:my|our|usage|content|safety|community|platform) (?:guidelines|policy|policies|rules"
            r"|restrictions)\b",
            r"\b(?:inappropriate|not appropriate|violat(?:es?|ed|ing|ion)|not comfortable|prohibited content"
            r"|unsafe content"
            r"|sensitive content|explicit content)\b",
            r"\b(?:outside|beyond) (?:of )?(?:my|our|what i|what we)\b|\bagainst (?:the |our |my |company )?"
            r"(?:policy|policies|guidelines|terms)\b",
            rf"\b{_THINGS} (?:did not|didn't|does not|doesn't|failed to|would not|won't) (?:[\w-]+ )?"
            r"(?:load|open|render|display|upload|arrive|come through|play|process)\b",
            r"^\W*(?:fatal |api |http )?error\b|\btry again (?:later|soon|in)\b|\btimed out\b|\bupstream\b.*\berror\b",
            r"\bi (?:cannot|can't|can not|could not|couldn't|won't|will not)\b",
            r"\bi (?:am|'m) (?:not|unable)\b|\bi'm (?:not|unable|afraid)\b|\bmust decline\b",
            r"\bno (?:[\w-]+ ){0,2}(?:content|subjects?|details?|information|imagery|visuals?|context"
            r"|input|images?"
            r"|frames?|video|footage|clip|descriptions?|captions?)\b(?! of\b)",
            r"\bnothing (?:[\w-]+ ){0,2}(?:can|could) be\b|\bnothing (?:[\w-]+ )?(?:is|appears) (?:[\w-]+ )?"
            r"(?:visible|shown|discernible|recogni[sz]able|identifiable|distinguishable)\b"
            r"|\bnothing (?:[\w-]+ )?to (?:describe|see|report|caption)\b",
            r"^\W*(?:n/?a|null|none|not available|(?:content|image|video|media|description|caption) (?:is "
            r"|was )?(?:not available"
            r"|unavailable|blocked|filtered|removed|withheld|missing|denied)|request (?:denied|failed|rejected"
            r"|refused|blocked)"
            r"|access denied|refused)\b",
            r"\b(?:description|caption|content|answer|response|image|video|frames?) (?:is |are |was "
            r"|were )?(?:not |un)available\b",
            r"^\W*(?:the|this) (?:visual |provided )?(?:content|input)\b|\bnot applicable\b"
            r"|\b(?:only|can|must) guess\b|\bspeculat\w+|\bprefer not to\b|\bremains? unclear\b",
            r"\b(?:internal|server|processing) error\b|\berror (?:code|occurred|while|processing|loading)\b",
            r"\bplease (?:provide|share|upload|try|send|give|supply|resubmit|clarify|submit|attach)\b",
            r"\b(?:more|further|additional|clearer|better) (?:context|information|details?|images?|frames?"
            r"|pictures?|video"
            r"|footage|quality|input)\b(?: (?:is|are|would|will|may|might|needed|required)\b|\W*$)",
            r"\b(?:indiscernible|unidentifiable|undeterminable|indeterminate|undiscernible|incomprehensible"
            r"|indecipherable"
            r"|unintelligible)\b",
            rf"\b{_THINGS} (?:[\w-]+ )?(?:is|are|was|were|appears?|seems?|looks?"
            rf"|remains?) (?:[\w-]+ ){{0,3}}(?:blurry|blurred"
            r"|blank|black|empty|dark|unclear|corrupt(?:ed)?|pixelated|distorted|missing|invalid|obscured"
            r"|grainy|unreadable"
            r"|unusable|unrecogni[sz]able|low)\b",
        )
    )
)


def refusal(answer: Answer) -> str | None:
    """An answer that says that it cannot, may not or has nothing to describe."""
    return "refusal" if _REFUSALS.search(answer.plain) else None
