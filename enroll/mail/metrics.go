package mail

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// result is what became of a mail.
type result string

const (
	resultSent    result = "sent"
	resultRefused result = "refused" // by the server, for good, or not a mail that can be sent
	resultExpired result = "expired" // of no use to anybody before it was out
	resultDropped result = "dropped" // the queue was full, or it made us panic
)

// metrics are the instruments of a [Sender].
type metrics struct {
	mails   map[result]prometheus.Counter
	retries prometheus.Counter
	panics  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	mails := f.NewCounterVec(prometheus.CounterOpts{
		Name: "otpgate_enroll_mails_total", Help: "Mails, by what became of them.",
	}, []string{"result"})
	m := &metrics{mails: map[result]prometheus.Counter{}, retries: f.NewCounter(prometheus.CounterOpts{
		Name: "otpgate_enroll_mail_retries_total", Help: "Tries to send a mail that failed and were put off.",
	}), panics: f.NewCounter(prometheus.CounterOpts{
		Name: "otpgate_panics_total", Help: "Panics that were recovered.", ConstLabels: prometheus.Labels{"component": "mail"},
	})}
	for _, r := range []result{resultSent, resultRefused, resultExpired, resultDropped} {
		m.mails[r] = mails.WithLabelValues(string(r))
	}
	return m
}
