package bench

import (
	"fmt"
	"slices"
)

// median is that of what each has.
func median[T any](all []T, of func(T) float64) float64 {
	sorted := values(all, of)
	n := len(sorted)
	if n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[n/2]
}

// values are what each has, the least first.
func values[T any](all []T, of func(T) float64) []float64 {
	var some []float64
	for _, v := range all {
		some = append(some, of(v))
	}
	slices.Sort(some)
	return some
}

// spread is a median with the least and the most.
func spread[T any](all []T, of func(T) float64) string {
	sorted := values(all, of)
	text := thousands(int(median(all, of) + 0.5))
	if len(sorted) > 1 {
		text += fmt.Sprintf(" (%s to %s)", thousands(int(sorted[0]+0.5)), thousands(int(sorted[len(sorted)-1]+0.5)))
	}
	return text
}

// milliseconds is the median of seconds; nothing for packets that are not answered.
func milliseconds(ms []Measurement, of func(Measurement) float64) string {
	if m := median(ms, of); m > 0 {
		return fmt.Sprintf("%.2f", 1e3*m)
	}
	return ""
}

// thousands writes a number in groups of three digits.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
