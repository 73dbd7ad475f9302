package store

import (
	"errors"

	"github.com/google/uuid"
)

// Actions and statuses are Heat's; Magnum's status of a cluster is one of each, joined by "_".
const (
	ActionInit   = "INIT"
	ActionCreate = "CREATE"
	ActionUpdate = "UPDATE"
	ActionDelete = "DELETE"
	ActionSignal = "SIGNAL" // of events only

	InProgress = "IN_PROGRESS"
	Complete   = "COMPLETE"
	Failed     = "FAILED"
)

// The statuses of clusters and nodegroups, as Magnum writes them.
const (
	CreateInProgress = "CREATE_IN_PROGRESS"
	CreateComplete   = "CREATE_COMPLETE"
	CreateFailed     = "CREATE_FAILED"
	UpdateInProgress = "UPDATE_IN_PROGRESS"
	UpdateComplete   = "UPDATE_COMPLETE"
	UpdateFailed     = "UPDATE_FAILED"
	DeleteInProgress = "DELETE_IN_PROGRESS"
	DeleteComplete   = "DELETE_COMPLETE"
	DeleteFailed     = "DELETE_FAILED"
)

// NewID returns a random UUID.
func NewID() string { return uuid.NewString() }

// IsNotFound reports whether err says that a row does not exist.
func IsNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
