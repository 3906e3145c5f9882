//! What of the template language an account's templates may use: values, choices and loops over what was given. Nothing that makes
//! a value larger than what went in, for the engine counts what is written and not everything that is made on the way.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

/// Statements inside statements, and expressions inside expressions.
const DEPTH: usize = 40;
/// What values may be put through.
const FILTERS: [&str; 10] = [
    "capitalize",
    "default",
    "escape",
    "first",
    "join",
    "last",
    "length",
    "lower",
    "trim",
    "upper",
];
/// What may be asked of a value.
const TESTS: [&str; 6] = ["defined", "false", "number", "string", "true", "undefined"];

/// What is wrong with a template, whatever is filled in.
pub(super) fn check(source: &str) -> Result<(), Error> {
    let parsed = parse(source, "template", SyntaxConfig::default())?;
    statement(&parsed, DEPTH).map_err(|what| {
        Error::new(
            ErrorKind::SyntaxError,
            format!("{what} cannot be used in a template"),
        )
    })
}

/// The name of what may not be used.
type Refused = String;

fn statement(statement: &Stmt<'_>, left: usize) -> Result<(), Refused> {
    let left = left.checked_sub(1).ok_or("so much nesting")?;
    let all = |statements: &[Stmt<'_>]| -> Result<(), Refused> {
        statements.iter().try_for_each(|one| self::statement(one, left))
    };
    match statement {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr, left),
        Stmt::IfCond(condition) => {
            expression(&condition.expr, left)?;
            all(&condition.true_body)?;
            all(&condition.false_body)
        }
        Stmt::ForLoop(each) if !each.recursive => {
            if !matches!(each.target, Expr::Var(_)) {
                return Err("a loop over more than one name".to_owned());
            }
            expression(&each.iter, left)?;
            if let Some(filter) = &each.filter_expr {
                expression(filter, left)?;
            }
            all(&each.body)?;
            all(&each.else_body)
        }
        _ => Err("any block but `if` and `for`".to_owned()),
    }
}

fn expression(expression: &Expr<'_>, left: usize) -> Result<(), Refused> {
    let left = left.checked_sub(1).ok_or("so much nesting")?;
    let deeper = |one: &Expr<'_>| self::expression(one, left);
    match expression {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::GetAttr(get) => deeper(&get.expr),
        Expr::GetItem(get) => {
            deeper(&get.expr)?;
            deeper(&get.subscript_expr)
        }
        Expr::UnaryOp(one) if matches!(one.op, UnaryOpKind::Not) => deeper(&one.expr),
        Expr::BinOp(two) if compares(two.op) => {
            deeper(&two.left)?;
            deeper(&two.right)
        }
        Expr::Compare(chain) => {
            deeper(&chain.expr)?;
            chain.ops.iter().try_for_each(|one| deeper(&one.expr))
        }
        Expr::IfExpr(choice) => {
            deeper(&choice.test_expr)?;
            deeper(&choice.true_expr)?;
            choice.false_expr.as_ref().map_or(Ok(()), deeper)
        }
        Expr::Filter(filter) if FILTERS.contains(&filter.name) => {
            constants(&filter.args)?;
            filter.expr.as_ref().map_or(Ok(()), deeper)
        }
        Expr::Filter(filter) => Err(format!("the filter `{}`", filter.name)),
        Expr::Test(test) if TESTS.contains(&test.name) => {
            constants(&test.args)?;
            deeper(&test.expr)
        }
        Expr::Test(test) => Err(format!("the test `{}`", test.name)),
        other => Err(format!("this kind of {}", other.description())),
    }
}

const fn compares(op: BinOpKind) -> bool {
    matches!(
        op,
        BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::ScAnd
            | BinOpKind::ScOr
            | BinOpKind::In
    )
}

/// What a filter is told stands in the template: what comes with the data could be of any size.
fn constants(arguments: &[CallArg<'_>]) -> Result<(), Refused> {
    let constant = |argument: &CallArg<'_>| {
        matches!(
            argument,
            CallArg::Pos(Expr::Const(_)) | CallArg::Kwarg(_, Expr::Const(_))
        )
    };
    if arguments.iter().all(constant) {
        Ok(())
    } else {
        Err("a filter that is told anything but fixed values".to_owned())
    }
}
