package enroll

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the instruments of a [Server].
type metrics struct {
	requests *prometheus.CounterVec
	panics   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, routes []string) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "otpgate_enroll_requests_total", Help: "HTTP requests of the enrollment server, by route and status code.",
		}, []string{"route", "code"}),
		panics: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_panics_total", Help: "Panics that were recovered.", ConstLabels: prometheus.Labels{"component": "enroll"},
		}),
	}
	for _, route := range routes {
		for _, code := range []int{200, 503} {
			m.requests.WithLabelValues(route, strconv.Itoa(code))
		}
	}
	return m
}
