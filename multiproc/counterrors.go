package multiproc

import "errors"

// CountErrorsIs has CountErrors count errors that match target, by errors.Is.
func CountErrorsIs(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// CountErrorsAs has CountErrors count errors that have a T in their chain.
func CountErrorsAs[T error]() func(error) bool {
	return func(err error) bool {
		_, ok := errors.AsType[T](err)
		return ok
	}
}

// CountErrors runs f and returns its error. It counts the error if a matcher returns true,
// such as one of CountErrorsIs, or if there are no matchers. A panic of f is counted too,
// and goes on.
func (c *Counter) CountErrors(f func() error, matchers ...func(error) bool) error {
	returned := false
	defer func() {
		if !returned {
			c.Inc()
		}
	}()
	err := f()
	returned = true
	if err == nil {
		return nil
	}
	matched := len(matchers) == 0
	for _, m := range matchers {
		matched = matched || m(err)
	}
	if matched {
		c.Inc()
	}
	return err
}
