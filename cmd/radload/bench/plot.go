package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// The plot in units of its own: where the axes are, and how large it is.
const (
	plotWidth, plotHeight = 760, 492
	plotLeft, plotRight   = 88, 736
	plotTop, plotBottom   = 92, 412
)

// plotStyle keeps the colours in one place. Both are told apart by people who see few colours, and have different marks.
const plotStyle = `<style>
  text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 13px; fill: #333 }
  .title { font-size: 17px; font-weight: 600; fill: #111 }
  .grid { stroke: #ddd } .axis { stroke: #777 }
  .line { fill: none; stroke-width: 2.2 } .tail { stroke-dasharray: 7 5 }
  .one { stroke: #b3541e } .one-mark { fill: #b3541e }
  .two { stroke: #1a5fb4 } .two-mark { fill: #1a5fb4 }
</style>
`

// plot maps what was measured to places: logins per second along a line, seconds along a logarithm.
type plot struct {
	most, step    float64 // logins per second
	fastest, slow float64 // seconds, powers of ten
}

func (p plot) x(perSecond float64) float64 {
	return plotLeft + (plotRight-plotLeft)*perSecond/p.most
}

func (p plot) y(seconds float64) float64 {
	share := math.Log(seconds/p.fastest) / math.Log(p.slow/p.fastest)
	return plotBottom - (plotBottom-plotTop)*share
}

// scale finds what there is to show. It is false when there is nothing.
func (r *Report) scale() (p plot, ok bool) {
	least, longest := math.Inf(1), 0.0
	for _, name := range curved() {
		for _, at := range r.points(name) {
			p.most = max(p.most, at.PerSecond)
			least, longest = min(least, at.P50), max(longest, at.P99)
		}
	}
	if p.most == 0 {
		return p, false
	}
	p.step = math.Pow(10, math.Floor(math.Log10(p.most)))
	for _, part := range []float64{0.1, 0.2, 0.5, 1} { // the finest that leaves room for the marks
		if p.most/(p.step*part) <= 8 {
			p.step *= part
			break
		}
	}
	p.most = math.Ceil(p.most/p.step) * p.step
	p.fastest = math.Pow(10, math.Floor(math.Log10(least)))
	p.slow = max(math.Pow(10, math.Ceil(math.Log10(longest))), 10*p.fastest)
	return p, true
}

// Plot writes latency over throughput as SVG; nothing when no curve was measured.
func (r *Report) Plot(w io.Writer) error {
	p, ok := r.scale()
	if !ok {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title words">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<title id="title">Latency of logins over their rate</title>`+"\n"+`<desc id="words">%s</desc>`+"\n", r.inWords())
	b.WriteString(plotStyle)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="28">Latency of logins over their rate</text>`+"\n", plotLeft)
	p.grid(&b)
	for i, name := range curved() {
		p.curve(&b, i, r.points(name))
		c, _ := caseOf(name)
		fmt.Fprintf(&b, `<line class="line %s" x1="%d" y1="%d" x2="%d" y2="%[3]d"/>`+"\n", colour(i), plotLeft, 46+20*i, plotLeft+34)
		mark(&b, i, plotLeft+17, float64(46+20*i))
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", plotLeft+42, 50+20*i, c.what)
	}
	fmt.Fprintf(&b, `<text x="%d" y="50" text-anchor="end">solid: median</text><text x="%[1]d" y="70" text-anchor="end">dashed: 99th percentile</text>`+"\n", plotRight)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">logins decided per second</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+42)
	fmt.Fprintf(&b, `<text x="18" y="%d" text-anchor="middle" transform="rotate(-90 18 %[1]d)">latency in milliseconds (logarithmic)</text>`+"\n",
		(plotTop+plotBottom)/2)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#777">%s; measured %s</text>`+"\n", plotRight, plotHeight-8,
		escaped(r.Machine.Processor+", one core for servers and peers"), r.Date.Format("2006-01-02"))
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// inWords is the plot for those who do not see it.
func (r *Report) inWords() string {
	var all []string
	for _, name := range curved() {
		points := r.points(name)
		if len(points) == 0 {
			continue
		}
		c, _ := caseOf(name)
		first, last := points[0], points[len(points)-1]
		all = append(all, fmt.Sprintf("%s: at %s logins per second a median of %s ms and a 99th percentile of %s ms, at %s a median of %s ms and a 99th percentile of %s ms.",
			c.what, thousands(int(first.PerSecond)), upToPatience(first.P50), upToPatience(first.P99),
			thousands(int(last.PerSecond)), upToPatience(last.P50), upToPatience(last.P99)))
	}
	return escaped(strings.Join(all, " "))
}

func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// grid draws the axes with their marks.
func (p plot) grid(b *strings.Builder) {
	line := func(class string, x1, y1, x2, y2 float64) {
		fmt.Fprintf(b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
	}
	for i := 0; float64(i)*p.step <= p.most*1.001; i++ {
		at := float64(i) * p.step
		line("grid", p.x(at), plotTop, p.x(at), plotBottom)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", p.x(at), plotBottom+20, thousands(int(at)))
	}
	for at := p.fastest; at <= p.slow*1.01; at *= 10 {
		line("grid", plotLeft, p.y(at), plotRight, p.y(at))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-8, p.y(at)+4, axis(at*1e3))
	}
	line("axis", plotLeft, plotBottom, plotRight, plotBottom)
	line("axis", plotLeft, plotTop, plotLeft, plotBottom)
}

// axis writes a power of ten.
func axis(at float64) string {
	if at < 1 {
		return fmt.Sprintf("%.6g", at)
	}
	return thousands(int(at + 0.5))
}

// curve draws the medians, and the latency of the slowest hundredth.
func (p plot) curve(b *strings.Builder, number int, points []Point) {
	for class, of := range map[string]func(Point) float64{
		"line": func(at Point) float64 { return at.P50 }, "line tail": func(at Point) float64 { return at.P99 },
	} {
		var places []string
		for _, at := range points {
			places = append(places, fmt.Sprintf("%.1f,%.1f", p.x(at.PerSecond), p.y(of(at))))
		}
		if len(places) > 0 {
			fmt.Fprintf(b, `<polyline points="%s" class="%s %s"/>`+"\n", strings.Join(places, " "), class, colour(number))
		}
		for _, at := range points {
			mark(b, number, p.x(at.PerSecond), p.y(of(at)))
		}
	}
}

func colour(number int) string { return []string{"one", "two"}[number%2] }

// mark is a square for the first curve, and a disc for the second.
func mark(b *strings.Builder, number int, x, y float64) {
	if number%2 == 0 {
		fmt.Fprintf(b, `<rect class="one-mark" x="%.1f" y="%.1f" width="8" height="8"/>`+"\n", x-4, y-4)
		return
	}
	fmt.Fprintf(b, `<circle class="two-mark" cx="%.1f" cy="%.1f" r="4.5"/>`+"\n", x, y)
}
