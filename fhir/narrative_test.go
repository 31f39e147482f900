package fhir

import "testing"

const divStart = `<div xmlns="http://www.w3.org/1999/xhtml">`

func TestNarrativesThatAreSafe(t *testing.T) {
	for _, text := range []string{
		divStart + `Hello</div>`,
		divStart + `<p class="x" style="color: red">A&nbsp;<b>b</b> &lt;script&gt;<br/></p><!-- note --></div>`,
		`<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en"><table><tr><td colspan="2">1</td></tr></table></div>`,
		divStart + `<a href="https://a.example/x?y=z:1">a</a> <a href="#note1">n</a> <a href="Patient/1">p</a> <a name="note1"/></div>`,
		divStart + `<img src="data:image/png;base64,AAAA" alt="x"/></div>`,
	} {
		if problem := narrativeProblem(text); problem != "" {
			t.Errorf("%s: %s", text, problem)
		}
	}
}

func TestNarrativesThatCouldHarmAreRefused(t *testing.T) {
	for _, text := range []string{
		``, `Hello`, divStart, divStart + `</div>`, divStart + ` </div>`, divStart + `a</div>b`, divStart + `a</div>` + divStart + `b</div>`,
		`<div>a</div>`, `<p xmlns="http://www.w3.org/1999/xhtml">a</p>`,
		`<div xmlns="http://www.w3.org/2000/svg">a</div>`,
		`<x:div xmlns:x="http://www.w3.org/1999/xhtml">a</x:div>`,
		divStart + `a<script>alert(1)</script></div>`,
		divStart + `a<SCRIPT>alert(1)</SCRIPT></div>`,
		divStart + `a<b onclick="alert(1)">x</b></div>`,
		divStart + `a<b ONCLICK="alert(1)">x</b></div>`,
		divStart + `<img src="x" onerror="alert(1)"/></div>`,
		divStart + `<a href="javascript:alert(1)">x</a></div>`,
		divStart + `<a href="JaVaScRiPt:alert(1)">x</a></div>`,
		divStart + `<a href=" java&#9;script:alert(1)">x</a></div>`,
		divStart + `<a href="&#1;javascript:alert(1)">x</a></div>`,
		divStart + `<a href="vbscript:x">x</a></div>`,
		divStart + `<a href="data:text/html,x">x</a></div>`,
		divStart + `<img src="data:image/svg+xml,x"/></div>`,
		divStart + `<a href="file:///etc/passwd">x</a></div>`,
		divStart + `<b style="background:url(http://a)">x</b></div>`,
		divStart + `<b style="width:expr\65ssion(alert(1))">x</b></div>`,
		divStart + `<iframe src="http://a">x</iframe></div>`,
		divStart + `<object data="http://a">x</object></div>`,
		divStart + `<form action="http://a">x<input name="a"/></form></div>`,
		divStart + `<link rel="stylesheet" href="http://a"/>x</div>`,
		divStart + `<svg><script>x</script></svg></div>`,
		divStart + `<svg xmlns="http://www.w3.org/2000/svg" onload="x">x</svg></div>`,
		divStart + `<style>x</style></div>`,
		divStart + `<![CDATA[ > <script>alert(1)</script> ]]></div>`,
		divStart + `a<!--> <script>alert(1)</script> --></div>`,
		divStart + `a<?php x ?></div>`,
		`<!DOCTYPE div [<!ENTITY x "y">]>` + divStart + `&x;</div>`,
		divStart + `&unknown;</div>`,
		divStart + `<b>a</div>`,
		divStart + `<b xlink:href="javascript:x">a</b></div>`,
	} {
		if narrativeProblem(text) == "" {
			t.Errorf("accepted %s", text)
		}
	}
}
