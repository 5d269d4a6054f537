//! A program that the tests start.

fn main() -> std::io::Result<()> {
    println!("{}", vmrun_example::parameter("kernel/ostype")?);
    Ok(())
}
