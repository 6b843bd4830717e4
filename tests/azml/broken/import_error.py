import a_package_that_nobody_has

init = run = a_package_that_nobody_has.anything
