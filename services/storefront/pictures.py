"""The pictures of products: small SVG drawings, one for each category, in colors that depend on the SKU."""

from collections.abc import Mapping
from hashlib import sha256

_SHADOW = '<ellipse cx="60" cy="104" rx="36" ry="5" fill="#000" opacity=".12"/>'
# {a}: main color, {b}: darker color, {c}: light color.
_DRAWINGS: Mapping[str, str] = {
    "coffee": '<path d="M34 28h52l5 76H29z" fill="{a}"/><path d="M34 28h52l1 14H33z" fill="{b}"/>'
    '<ellipse cx="60" cy="72" rx="13" ry="18" fill="{c}"/><path d="M60 55q-8 9 0 17t0 17" fill="none" stroke="{b}" '
    'stroke-width="3"/>',
    "tea": '<rect x="36" y="36" width="48" height="68" rx="4" fill="{a}"/><rect x="32" y="26" width="56" height="13" rx="4" '
    'fill="{b}"/><path d="M46 84q0-24 28-28q2 26-28 28z" fill="{c}"/><path d="M46 84q10-14 22-22" fill="none" stroke="{b}" '
    'stroke-width="2"/>',
    "brewing": '<path d="M26 32h68l-24 34H50z" fill="{a}"/><path d="M92 36q18 2 6 18l-12 2" fill="none" stroke="{b}" '
    'stroke-width="5"/><rect x="46" y="66" width="28" height="5" fill="{b}"/><path d="M40 74h40l4 30H36z" fill="{c}" '
    'stroke="{b}" stroke-width="3"/><path d="M38 92h44l2 12H36z" fill="{b}"/>',
    "cups": '<path d="M30 46h52v26q0 30-26 30T30 72z" fill="{a}"/><ellipse cx="56" cy="46" rx="26" ry="7" fill="{c}"/>'
    '<ellipse cx="56" cy="47" rx="20" ry="5" fill="{b}"/><path d="M82 54q20-2 17 14t-20 15" fill="none" stroke="{a}" '
    'stroke-width="6"/>',
    "treats": '<rect x="34" y="24" width="52" height="80" rx="4" fill="{b}"/><path d="M38 28h21v17H38zM62 28h20v17H62z'
    'M38 48h21v17H38zM62 48h20v17H62z" fill="{c}"/><path d="M34 68l9 5 9-5 9 5 9-5 8 5 8-5v36H34z" fill="{a}"/>',
    "care": '<path d="M48 44h24v10q12 6 12 20v26q0 4-4 4H40q-4 0-4-4V74q0-14 12-20z" fill="{a}"/><rect x="50" y="26" '
    'width="20" height="18" fill="{b}"/><path d="M70 28h18v6" fill="none" stroke="{b}" stroke-width="5"/><rect x="42" y="72" '
    'width="36" height="20" rx="2" fill="{c}"/>',
}
_OTHER = (
    '<path d="M24 50l36-18 36 18-36 18z" fill="{c}"/><path d="M24 50l36 18v38L24 88z" fill="{a}"/>'
    '<path d="M96 50L60 68v38l36-18z" fill="{b}"/>'
)


def draw(category: str, sku: str) -> str:
    """The picture of a product. It contains no text of its arguments."""
    hue = sha256(sku.encode()).digest()[0] * 360 // 256
    colors = {"a": f"hsl({hue} 42% 46%)", "b": f"hsl({hue} 45% 28%)", "c": f"hsl({(hue + 40) % 360} 55% 84%)"}
    shape = _DRAWINGS.get(category, _OTHER).format(**colors)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120">{_SHADOW}{shape}</svg>'
