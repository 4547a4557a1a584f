package main

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// terminatingHandler is a slog.Handler that turns errors about a namespace that is being deleted into information: the
// API server refuses each event and each object of it from then on, and there is nothing to solve.
type terminatingHandler struct{ slog.Handler }

// Handle handles the record. It returns the error of the handler that it wraps.
func (h terminatingHandler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelError && isAboutTerminatingNamespace(record) {
		if !h.Enabled(ctx, slog.LevelInfo) {
			return nil
		}
		record = asInformation(record)
	}
	return h.Handler.Handle(ctx, record) //nolint:wrapcheck // nothing to add
}

// WithAttrs returns a handler whose records have the attributes.
func (h terminatingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return terminatingHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a handler whose records have their attributes in the group.
func (h terminatingHandler) WithGroup(name string) slog.Handler {
	return terminatingHandler{h.Handler.WithGroup(name)}
}

// isAboutTerminatingNamespace reports whether an attribute of the record is the API server's refusal to create
// something in a namespace that is being deleted.
func isAboutTerminatingNamespace(record slog.Record) bool {
	found := false
	record.Attrs(func(attr slog.Attr) bool {
		err, isError := attr.Value.Any().(error)
		found = isError && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
		return !found
	})
	return found
}

// asInformation returns the record with the level of information, and without the event that client-go adds.
func asInformation(record slog.Record) slog.Record {
	quiet := slog.NewRecord(record.Time, slog.LevelInfo, record.Message, record.PC)
	record.Attrs(func(attr slog.Attr) bool {
		if attr.Key != "event" {
			quiet.AddAttrs(attr)
		}
		return true
	})
	return quiet
}
